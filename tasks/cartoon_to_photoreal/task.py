"""The task: the cartoon itself as condition, key frames carried along its flow as reference, a photographic finish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vid2vid.config import BackboneConfig
from vid2vid.errors import InvalidOption
from vid2vid.task import Task

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from vid2vid.motion.keyframes import KeyFrame
    from vid2vid.types import Chunk, Conditions, Picture, Request

    from .finish import Finish, FinishStatistics

MAX_KEY_FRAMES = 8
STATISTICS_FRAMES = 24


@dataclass(frozen=True, slots=True)
class Options:
    """The task's own options."""

    finish: Literal["auto", "none", "subtle", "film"] = field(
        default="auto", metadata={"help": "photographic finish; auto is film, or none where key frames set the look"}
    )
    response: float | None = field(
        default=None, metadata={"help": "film tone response, 0 to 1, instead of the finish's"}
    )
    colour: float | None = field(default=None, metadata={"help": "pull to live footage's colours, 0 to 0.5"})
    softness: float | None = field(
        default=None, metadata={"help": "lens softness where the source is too crisp, 0 to 1"}
    )
    clarity: float | None = field(default=None, metadata={"help": "micro-contrast, 0 to 1"})
    bloom: float | None = field(default=None, metadata={"help": "glow of highlights, 0 to 1"})
    halation: float | None = field(default=None, metadata={"help": "red fringe of highlights, 0 to 1"})
    vignette: float | None = field(default=None, metadata={"help": "fall-off towards the corners, 0 to 1"})
    grain: float | None = field(default=None, metadata={"help": "film grain, 0 to 1"})
    key_frames: tuple[int, ...] = field(
        default=(),
        metadata={"help": "numbers of the frames that the references show; found by content where not given"},
    )


@dataclass(slots=True)
class Setup:
    """What lives for one render."""

    finish: Finish
    finish_name: str
    seed: int
    statistics: FinishStatistics | None
    """Of the clip as it came in; None until the first chunk where the source cannot be read twice."""
    keys: tuple[KeyFrame, ...] = ()
    agreements: tuple[float, ...] = ()
    colours: NDArray[np.float32] | None = None
    """`(3, 4)` change of colour from the clip to its key frames."""


class CartoonToPhotoreal(Task[Setup]):
    """Turns cartoons into what might have been filmed.

    Without references: a net trained to undo drawing on live footage, then a photographic finish. With one to eight
    photo-real versions of the clip's own frames: these are carried through the clip and the net fuses them.
    """

    name: ClassVar[str] = "cartoon_to_photoreal"
    summary: ClassVar[str] = "Drawn or computer-made video becomes photographic; key frames set the look."
    backbone: ClassVar[BackboneConfig] = BackboneConfig(weights="weights.safetensors")
    channels: ClassVar[Mapping[str, int]] = {"source": 3}
    supervision: ClassVar[Literal["paired", "self"]] = "self"
    Options: ClassVar[type[Any]] = Options

    def setup(self, request: Request, device: torch.device) -> Setup:
        """Looks at references and through the clip.

        Raises:
            InvalidOption: too many references, or frame numbers that do not fit them.
            ReferenceMismatch: a reference shows no frame of the clip.
        """
        options: Options = request.options
        finish_name, finish = _finish(options, keyed=bool(request.references))
        setup = Setup(finish, finish_name, request.seed, _statistics(request))
        if request.references:
            _add_keys(setup, request, options)
        return setup

    def condition(self, chunk: Chunk, setup: Setup) -> Conditions:
        """The cartoon in the key frames' colours, and the key frames aligned to it."""
        import numpy as np
        import torch

        from vid2vid.composite import to_pictures
        from vid2vid.motion.keyframes import carry
        from vid2vid.types import Conditions

        if not setup.keys or setup.colours is None:
            return Conditions(maps={"source": chunk.frames})
        pictures = to_pictures(chunk.frames)
        aligned = np.stack([carry(setup.keys, chunk.start + t, picture) for t, picture in enumerate(pictures)])
        matrix = torch.from_numpy(setup.colours)
        graded = torch.einsum("ij,tjhw->tihw", matrix[:, :3], chunk.frames) + matrix[None, :, 3, None, None]
        return Conditions(
            maps={"source": graded.clamp_(0.0, 1.0)}, reference=torch.from_numpy(aligned).permute(0, 3, 1, 2)
        )

    def composite(self, source: Chunk, generated: torch.Tensor, conditions: Conditions, setup: Setup) -> torch.Tensor:
        """The generated frame, finished."""
        import numpy as np
        import torch

        from .finish import Finish, apply_finish, measure_statistics

        if setup.finish == Finish():
            return generated
        if setup.statistics is None:
            from vid2vid.composite import to_pictures

            setup.statistics = measure_statistics(to_pictures(source.frames))
        frames = generated.permute(0, 2, 3, 1).contiguous().numpy()
        finished = [
            apply_finish(frame, source.start + t, setup.finish, setup.statistics, setup.seed)
            for t, frame in enumerate(frames)
        ]
        return torch.from_numpy(np.stack(finished)).permute(0, 3, 1, 2)

    def report(self, setup: Setup) -> Mapping[str, Any]:
        """Which way was taken, said plainly."""
        keys = [
            {"frame": key.index, "agreement": round(agreement, 3)}
            for key, agreement in zip(setup.keys, setup.agreements, strict=True)
        ]
        way = "key frames carried along optical flow" if keys else "net trained to undo drawing on live footage"
        said = f"finish: {setup.finish_name}; {way}; no pretrained photo-real model used"
        return {"way": way, "finish": setup.finish_name, "key_frames": keys, "summary": said}


def _finish(options: Options, keyed: bool) -> tuple[str, Finish]:
    from dataclasses import fields, replace

    from .finish import FINISHES, Finish

    name = options.finish if options.finish != "auto" else ("none" if keyed else "film")
    own = {part.name: getattr(options, part.name) for part in fields(Finish)}
    given = {part: value for part, value in own.items() if value is not None}
    return (name if not given else f"{name}, changed"), replace(FINISHES[name], **given)


def _statistics(request: Request) -> FinishStatistics | None:
    """Of frames spread over the clip; None where it can be read only once."""
    from .finish import measure_statistics

    if request.open_source is None:
        return None
    count = request.info.frame_count or STATISTICS_FRAMES
    stride = max(1, count // STATISTICS_FRAMES)
    chosen: list[Picture] = []
    with request.open_source() as frames:
        for frame in frames:
            if frame.index % stride == 0:
                chosen.append(frame.pixels)
            if len(chosen) >= STATISTICS_FRAMES:
                break
    return measure_statistics(chosen)


def _add_keys(setup: Setup, request: Request, options: Options) -> None:
    from vid2vid.composite import resize
    from vid2vid.motion.keyframes import KeyFrame, colour_change, plan_carries

    numbers, agreements = _key_numbers(request, options)
    with _reopened(request) as frames:
        fields = plan_carries(frames, numbers, request.width, request.height)
    with _reopened(request) as frames:
        sources = {
            frame.index: resize(frame.pixels, request.width, request.height)
            for frame in frames
            if frame.index in numbers
        }
    setup.keys = tuple(
        KeyFrame(number, sources[number], resize(look, request.width, request.height), carried)
        for number, look, carried in zip(numbers, request.references, fields, strict=True)
    )
    setup.agreements = tuple(agreements)
    setup.colours = colour_change(setup.keys)


def _key_numbers(request: Request, options: Options) -> tuple[list[int], list[float]]:
    from vid2vid.motion.matching import match_to_frames

    count = len(request.references)
    if count > MAX_KEY_FRAMES:
        raise InvalidOption(f"{count} references were given; this task takes 1 to {MAX_KEY_FRAMES} key frames.")
    if options.key_frames:
        numbers = list(options.key_frames)
        total = request.info.frame_count
        if len(set(numbers)) != count or min(numbers) < 0 or (total is not None and max(numbers) >= total):
            raise InvalidOption(
                f"key_frames={options.key_frames}: one frame number for each of the {count} references "
                f"is needed, each once, from 0 to {total - 1 if total else 'the last frame'}."
            )
        return numbers, [1.0] * count
    with _reopened(request) as frames:
        matches = match_to_frames(request.references, frames, request.info.width, request.info.height)
    return [match.frame for match in matches], [match.agreement for match in matches]


def _reopened(request: Request) -> Any:
    if request.open_source is None:
        raise InvalidOption("Key frames need a clip that can be read twice: give a file or an array, not an iterator.")
    return request.open_source()

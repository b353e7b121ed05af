"""The task: the cartoon itself as condition, key frames carried along its flow as reference, a photographic finish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vid2vid.config import BackboneConfig
from vid2vid.options import KeyFrameOptions
from vid2vid.task import Task

if TYPE_CHECKING:
    import torch

    from vid2vid.lesson import FittedGenerator
    from vid2vid.motion.keyed_clip import KeyedClip
    from vid2vid.provenance import DigitalSource
    from vid2vid.types import Chunk, Conditions, Picture, Request

    from .finish import Finish, FinishStatistics

STATISTICS_FRAMES = 24
FINISHING = ("response", "colour", "softness", "clarity", "bloom", "halation", "vignette", "grain")
"""Options that each change one part of the finish."""
NOMINAL_HEIGHT = 432
"""Rows of the frame for which styles are drawn where only a part of a frame is at hand."""


@dataclass(frozen=True, slots=True)
class Options(KeyFrameOptions):
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


@dataclass(slots=True)
class Setup:
    """What lives for one render."""

    finish: Finish
    finish_name: str
    seed: int
    statistics: FinishStatistics | None
    """Of the clip as it came in; None until the first chunk where the source cannot be read twice."""
    keyed: KeyedClip | None = None
    """The clip's key frames, where references were given."""
    fitted: bool = False
    """Whether a generator was fitted to them for this render."""
    silent: bool = False
    """Whether that came no nearer to them, so that they are shown as carried."""


class CartoonToPhotoreal(Task[Setup]):
    """Turns cartoons into what might have been filmed.

    Without references: a net trained to undo drawing on live footage, then a photographic finish. With one to eight
    photo-real versions of the clip's own frames: these are carried through the clip and the net fuses them.
    """

    name: ClassVar[str] = "cartoon_to_photoreal"
    summary: ClassVar[str] = "Drawn or computer-made video becomes photographic; key frames set the look."
    source_type: ClassVar[DigitalSource] = "trainedAlgorithmicMedia"
    backbone: ClassVar[BackboneConfig] = BackboneConfig(weights="weights.safetensors")
    channels: ClassVar[Mapping[str, int]] = {"source": 3}
    prompt: ClassVar[str] = "a photograph of a real scene, live action film still, natural light, detailed, realistic"
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
            from vid2vid.motion.keyed_clip import find_keys

            setup.keyed = find_keys(request, options.key_frames)
        return setup

    def generator(self, request: Request, setup: Setup, device: torch.device) -> FittedGenerator | None:
        """The look of the key frames, fitted in `minutes`."""
        if setup.keyed is None or request.fitted or request.options.minutes <= 0:
            return None
        from vid2vid.look_fitting import fit_look

        fitted = fit_look(setup.keyed, request, request.options.minutes, request.options.preset, device)
        self.recall(setup, fitted)
        return fitted

    def bare(self, options: Any) -> Any:
        """Without the photographic finish: a model makes its own grain and light, and would take this for texture."""
        from dataclasses import replace

        return replace(options, finish="none", **dict.fromkeys(FINISHING))

    def recall(self, setup: Setup, fitted: FittedGenerator) -> None:
        """The conditions are those of a fitted look."""
        setup.fitted, setup.silent = True, fitted.net.silent

    def simulate(self, target: Picture, seed: int, index: int) -> Picture:
        """Live footage as a cartoon in a random style, one for each seed."""
        from dataclasses import replace

        import numpy as np

        from .cartoonise import cartoonise, sample_style

        style = replace(sample_style(np.random.default_rng((seed, 3))), nominal_height=NOMINAL_HEIGHT)
        drawn: Picture = cartoonise(target[None], style, start=index)[0]
        return drawn

    def condition(self, chunk: Chunk, setup: Setup) -> Conditions:
        """The cartoon in the key frames' colours, and the key frames aligned to it."""
        import numpy as np
        import torch

        from vid2vid.composite import to_pictures
        from vid2vid.motion.keyframes import carry
        from vid2vid.types import Conditions

        if setup.keyed is None:
            return Conditions(maps={"source": chunk.frames})
        if setup.fitted:
            from vid2vid.looks import look_conditions

            return look_conditions(chunk, setup.keyed)
        pictures, keys = to_pictures(chunk.frames), setup.keyed.keys
        aligned = np.stack([carry(keys, chunk.start + t, picture).reference for t, picture in enumerate(pictures)])
        matrix = torch.from_numpy(setup.keyed.colours)
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
        keys = setup.keyed.facts() if setup.keyed else []
        way = "key frames carried along optical flow" if keys else "net trained to undo drawing on live footage"
        if setup.fitted:
            way += ", and a net fitted to them" + (", left out since it came no nearer" if setup.silent else "")
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

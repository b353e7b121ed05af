"""How a look is fitted: presets, the start from the shared trunk, and a judge over whole pictures.

Source:
    Figures of the preset `default` are in benchmarks/results/looks.json. The affine change of colours that the output
    starts from replaces a softmax over colour and reference, which collapsed within 54 steps.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from vid2vid.backbones import make_generator
from vid2vid.backbones.weights import start_from
from vid2vid.composite import resize
from vid2vid.config import BackboneConfig, TrainConfig
from vid2vid.fitting import FitConfig, Score
from vid2vid.judging import Comparison
from vid2vid.lesson import FittedGenerator, Lesson
from vid2vid.looks import CHANNELS, Aligned, Example, LookWindows, key_examples, look_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.backbones.generator import CompactGenerator
    from vid2vid.config import PresetName
    from vid2vid.motion.keyed_clip import KeyedClip
    from vid2vid.motion.keyframes import KeyFrame
    from vid2vid.types import Picture, Request

_LOG = logging.getLogger(__name__)

LOSSES: Final = {"l1": 1.0, "gradient": 0.5, "perceptual": 0.15}
DEFAULT_MINUTES: Final = 4.0
OWN: Final = FitConfig(
    minutes=DEFAULT_MINUTES,
    learning_rate=1e-3,
    schedule="step",
    warmup_steps=30,
    ema_decay=0.995,
    perceptual_every=3,
    recurrent=False,
    textured=False,
    losses=LOSSES,
)
"""How a look is learned, apart from what the caller asks for."""
NO_CLOSING: Final = -6.0
"""Start of the closings' shares: a look may have lines of its own."""
JUDGED: Final = 6
JUDGED_SIDE: Final = 256


@dataclass(frozen=True, slots=True)
class Preset:
    """A generator and the patches it learns from."""

    backbone: BackboneConfig
    crop: int
    batch: int


PRESETS: Final[Mapping[PresetName, Preset]] = {
    "fast": Preset(BackboneConfig(recurrent=False, textured=False), crop=96, batch=8),
    "default": Preset(
        BackboneConfig(width=24, blocks=(1, 2, 3), reduction=2, recurrent=False, textured=False), crop=64, batch=8
    ),
    "fine": Preset(
        BackboneConfig(width=24, blocks=(1, 2, 3), reduction=1, recurrent=False, textured=False), crop=48, batch=12
    ),
}


def look_lesson(
    examples: Sequence[Example],
    colours: NDArray[np.float32],
    config: TrainConfig,
    *,
    judged: Sequence[tuple[Example, Aligned | None]] = (),
    keys: Sequence[KeyFrame] = (),
    trunk: Path | None = None,
    limits: Sequence[str] = (),
    summary: str = "",
    measured: str = "held out",
) -> Lesson:
    """Puts together what one fit of a look takes.

    Args:
        examples: frames before and after, with key frames carried onto them.
        colours: `(3, 4)` change of colours from `colour_change`.
        config: preset, budget and seed.
        judged: frames to measure on, each with the key frame it is shown; none are measured where empty.
        keys: kept in the bundle.
        trunk: weights whose trunk the net starts from where its shape is the same; None starts from nothing.
        limits, summary, measured: for the card.
    """
    preset = PRESETS[config.preset]
    torch.manual_seed(config.seed)
    net = make_generator(preset.backbone, CHANNELS)
    with torch.no_grad():
        net.local.bias[-2:] = NO_CLOSING  # type: ignore[index]
    start = start_from(net, config.start, trunk, f"the preset '{config.preset}'")
    windows = LookWindows(
        examples,
        colours,
        batch=config.batch or preset.batch,
        crop=config.crop or preset.crop,
        multiple_of=net.multiple_of,
        seed=config.seed,
    )
    own = replace(OWN, perceptual_crop=windows.crop)
    judge = LookJudge(judged, colours) if judged else None
    return Lesson(
        net,
        preset.backbone,
        CHANNELS,
        windows,
        own.asked(config),
        judge,
        keys=tuple(keys),
        start=start,
        summary=summary,
        limits=tuple(limits),
        measured=measured,
        facts={"examples": len(examples), "keys": len(keys)},
    )


def fit_look(
    clip: KeyedClip, request: Request, minutes: float, preset: PresetName, device: torch.device
) -> FittedGenerator:
    """Fits the look of a clip's key frames for one render of it.

    Args:
        clip: key frames followed through the clip.
        request: whose source can be opened anew.
        minutes: time to take.
        preset: see `PRESETS`.
        device: where to fit.
    """
    from vid2vid.training import fit

    _LOG.info("Fitting the look of %d key frames for %g minutes", len(clip.keys), minutes)
    assert request.open_source is not None
    with request.open_source() as frames:
        sized = (resize(frame.pixels, request.width, request.height) for frame in frames)
        examples = key_examples(clip.keys, sized, request.seed)
    config = TrainConfig(preset=preset, minutes=minutes, seed=request.seed, device=str(device))
    lesson = look_lesson(examples, clip.colours, config, trunk=bundled_trunk(preset))
    with tempfile.TemporaryDirectory(prefix="vid2vid-look-") as folder:
        fit(lesson.net, lesson.windows, lesson.config, Path(folder))
    net, carrying = lesson.net.cpu(), make_generator(lesson.backbone, lesson.channels)
    carrying.silence()
    if not _is_nearer(net, carrying, examples, clip.colours):
        _LOG.warning(
            "The net fitted in %g minutes is farther from the key frames than these are when carried to each other, "
            "and they are shown as carried. More minutes= may help.",
            minutes,
        )
        net = carrying
    return FittedGenerator(net, lesson.backbone, lesson.channels)


def _is_nearer(
    net: CompactGenerator, other: CompactGenerator, examples: Sequence[Example], colours: NDArray[np.float32]
) -> bool:
    """Whether a net makes key frames from what was carried onto them with less error than another net.

    It has learned from these very pictures: too few steps are noticed, too many are not.
    """
    pairs = [(example, one) for example in examples for one in (*example.near, *example.trips[:2])]
    if not pairs:
        return True
    errors = [0.0, 0.0]
    for pair in (pairs[int(i)] for i in np.linspace(0, len(pairs) - 1, min(JUDGED, len(pairs))).round()):
        source, target, key_source, reference = _cut(*pair)
        for place, one in enumerate((net, other)):
            made = render(one.eval(), source, key_source, reference, colours)
            errors[place] += cv2.norm(made, target, cv2.NORM_L2SQR)
    return errors[0] < errors[1]


def bundled_trunk(preset: PresetName) -> Path | None:
    """Weights that come with the package for a preset's generator to start from; None where there are none."""
    path = Path(__file__).parent / "weights" / f"look_{preset}.safetensors"
    return path if path.is_file() else None


class LookJudge:
    """Measures a net on pictures cut from whole frames, beside the untouched source."""

    def __init__(self, judged: Sequence[tuple[Example, Aligned | None]], colours: NDArray[np.float32]) -> None:
        chosen = [judged[int(i)] for i in np.linspace(0, len(judged) - 1, min(JUDGED, len(judged))).round()]
        self._pictures = [_cut(example, aligned) for example, aligned in chosen]
        self._colours = colours
        self._compare = Comparison()

    def __call__(self, net: CompactGenerator) -> Score:
        """ST-LPIPS and PSNR, and a sheet of source, output and truth."""
        rows = [
            (source, render(net, source, key_source, reference, self._colours), target)
            for source, target, key_source, reference in self._pictures
        ]
        return self._compare(rows, net.stem_maps.weight.device)


@torch.inference_mode()
def render(
    net: CompactGenerator,
    source: Picture,
    key_source: Picture,
    reference: NDArray[np.float32],
    colours: NDArray[np.float32],
) -> Picture:
    """One picture in the look.

    Args:
        net: in evaluation mode.
        source, key_source: `(H, W, 3)` uint8.
        reference: `(H, W, 4)` aligned look and validity.
        colours: `(3, 4)`.
    """
    height, width = source.shape[:2]
    device = net.stem_maps.weight.device
    padding = (0, -width % net.multiple_of, 0, -height % net.multiple_of)
    maps, aligned = (
        torch.nn.functional.pad(
            torch.from_numpy(array).permute(2, 0, 1)[None].float().to(device), padding, mode="replicate"
        )
        for array in (look_maps(source, key_source, colours), reference)
    )
    made = net(maps, aligned)[0, :, :height, :width].clamp(0.0, 1.0)
    return np.asarray((made.permute(1, 2, 0) * 255.0).round().byte().cpu().numpy(), np.uint8)


def _cut(example: Example, aligned: Aligned | None) -> tuple[Picture, Picture, Picture, NDArray[np.float32]]:
    """The square of a frame, at most `JUDGED_SIDE` wide, in which the most changes from frame to frame."""
    height, width = example.source.shape[:2]
    reference = np.zeros((height, width, 4), np.float32)
    key_source = np.zeros_like(example.source)
    doubt = np.zeros((height, width), np.float32)
    if aligned is not None:
        reference[..., :3] = aligned.look / np.float32(255.0)
        reference[..., 3] = aligned.validity / np.float32(255.0)
        key_source, doubt = aligned.key_source, 1.0 - reference[..., 3]
    rows, columns = min(JUDGED_SIDE, height), min(JUDGED_SIDE, width)
    mean = cv2.boxFilter(doubt, -1, (columns, rows), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    inside = mean[: height - rows + 1, : width - columns + 1]
    top, left = (int(place) for place in np.unravel_index(int(inside.argmax()), inside.shape))
    box = (slice(top, top + rows), slice(left, left + columns))
    return example.source[box], example.target[box], key_source[box], reference[box]

"""What a rendered clip is judged by, measured frame by frame in constant memory.

Convention:
    Pictures are `(H, W, 3)` uint8 sRGB. Errors are over pixels in [0, 1], sharpness over luma in [0, 255].
    A blurred or frozen clip wins every temporal score: read `warp_error` beside `sharpness` and `motion_degree` only.

Source:
    Warp error: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, section 4.2. Departures: flow by DIS
    instead of FlowNet2, lengths instead of squared lengths in the occlusion check, no motion-boundary check, and places
    outside the picture left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import cv2
import numpy as np
import torch

from vid2vid.backbones.clip import find_clip
from vid2vid.composite import resize, shrunk
from vid2vid.conditions.flow import FlowEstimator, absolute, luma, warp
from vid2vid.errors import EmptyInput, EngineUnavailable, InvalidFrames
from vid2vid.losses import ShiftTolerantLPIPS
from vid2vid.types import Metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Field = NDArray[np.float32]
    Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

RELATIVE_MISMATCH: Final = 0.01
ABSOLUTE_MISMATCH_PX: Final = 0.5
"""A pixel is hidden where flow there and back differ by more than 0.01 of their lengths plus 0.5 pixels."""
SPREAD_FRAMES: Final = 24
"""Most frames on which SSIM and the learned distances are taken."""
PERCEPTUAL_SIDE_PX: Final = 384
"""Short side to which larger pictures are shrunk before a learned distance."""
LARGEST_PSNR_DB: Final = 100.0
"""What equal pictures count as, since infinity has no mean."""
STILL_PX: Final = 0.02
"""Mean flow below which a source counts as standing still, so that no motion degree can be given."""
_MEANS: Final = (
    "warp", "source_warp", "sharpness", "source_sharpness", "motion", "source_motion", "psnr", "source_psnr",
)  # fmt: skip
_ALEXNET_FILE: Final = "alexnet-owt-7be5be79.pth"


def measure(
    output: Iterable[Picture],
    source: Iterable[Picture] | None = None,
    target: Iterable[Picture] | None = None,
    prompt: str | None = None,
) -> Metrics:
    """Measures a rendered clip against what it was made from and what it should be.

    Two frames of each clip are held at a time. PSNR, sharpness and motion take every frame. SSIM and the learned
    distances take every n-th, with n doubled whenever more than `SPREAD_FRAMES` came together; the learned ones see
    pictures shrunk to `PERCEPTUAL_SIDE_PX`. Source and target of another size are resized to the output's. Clips of
    different lengths are compared as far as the shortest goes, which a note tells.

    Args:
        output: frames `(H, W, 3)` uint8 sRGB of one size.
        source: the clip it was made from, frame for frame; flow and occlusion come from it.
        target: the true pictures, frame for frame.
        prompt: text that the output should agree with, measured by CLIP.

    Returns:
        The metrics; None where a clip or a network is missing. `warp_error` is NaN for a single frame.

    Raises:
        EmptyInput: if there is not one frame to measure.
        InvalidFrames: if a frame is not `(H, W, 3)` uint8 or a clip changes its size.
    """
    run = _Run(prompt)
    for picture, others in _together(output, {"source": source, "target": target}, run.notes):
        run.add(picture, others.get("source"), others.get("target"))
    return run.result()


@dataclass(frozen=True, slots=True)
class Correspondence:
    """Where the pixels of an earlier picture are in a later one."""

    flow: Field
    """`(H, W, 2)` pixels: p of the earlier picture looks like p + flow of the later one."""
    visible: NDArray[np.bool_]
    """`(H, W)`: whether the pixel can be seen in the later picture at all."""


def correspond(earlier: Picture, later: Picture, estimator: FlowEstimator) -> Correspondence:
    """Flow from the earlier to the later picture, and where it leads back to where it came from."""
    first, second = luma(earlier), luma(later)
    flow, back = estimator(first, second), estimator(second, first)
    returned = cast("Field", warp(back, flow))
    mismatch = np.linalg.norm(flow + returned, axis=-1)
    lengths = np.linalg.norm(flow, axis=-1) + np.linalg.norm(returned, axis=-1)
    places, (height, width) = absolute(flow), first.shape[:2]
    inside = (places >= 0.0).all(-1) & (places[..., 0] <= width - 1) & (places[..., 1] <= height - 1)
    return Correspondence(flow, inside & (mismatch <= RELATIVE_MISMATCH * lengths + ABSOLUTE_MISMATCH_PX))


def warp_error(earlier: Picture, later: Picture, seen: Correspondence) -> float | None:
    """Mean squared difference of a picture and its successor moved back onto it, where both can be seen.

    Returns:
        The mean over visible pixels and channels in [0, 1]; None if nothing is visible.
    """
    if not seen.visible.any():
        return None
    moved = cast("Field", warp(later.astype(np.float32), seen.flow))
    difference = (moved - earlier.astype(np.float32)) / 255.0
    return float(np.square(difference[seen.visible], dtype=np.float64).mean())


def sharpness(picture: Picture) -> float:
    """Variance of the Laplacian of luma in [0, 255]."""
    return float(cv2.Laplacian(luma(picture), cv2.CV_32F).var(dtype=np.float64))


def psnr_db(picture: Picture, target: Picture) -> float:
    """Peak signal-to-noise ratio in dB, at most `LARGEST_PSNR_DB`."""
    error = float(np.square(picture.astype(np.float32) - target.astype(np.float32)).mean(dtype=np.float64)) / 255.0**2
    return LARGEST_PSNR_DB if error == 0.0 else min(LARGEST_PSNR_DB, -10.0 * float(np.log10(error)))


def ssim(picture: Picture, target: Picture) -> float | None:
    """Structural similarity over 11-pixel windows, mean over the channels; None for pictures below 11 pixels."""
    if min(picture.shape[:2]) < 11:
        return None
    from kornia.metrics import ssim as similarity  # two seconds to import

    return float(similarity(as_tensor(picture), as_tensor(target), window_size=11).mean())


def as_tensor(picture: Picture) -> torch.Tensor:
    """`(H, W, 3)` uint8 -> `(1, 3, H, W)` float32 in [0, 1]."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255.0


@dataclass(slots=True)
class _Mean:
    """Running mean that skips what could not be measured."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total, self.count = self.total + value, self.count + 1

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class _Spread:
    """Values at evenly spread frames of a stream of unknown length: every n-th, n doubling as the stream goes on."""

    stride: int = 1
    values: dict[int, dict[str, float | None]] = field(default_factory=dict)

    def wants(self, index: int) -> bool:
        return index % self.stride == 0

    def add(self, index: int, values: dict[str, float | None]) -> None:
        self.values[index] = values
        while len(self.values) > SPREAD_FRAMES:
            self.stride *= 2
            self.values = {i: v for i, v in self.values.items() if i % self.stride == 0}

    def mean(self, name: str) -> float | None:
        mean = _Mean()
        for values in self.values.values():
            mean.add(values.get(name))
        return mean.value


class _Run:
    """Everything gathered over one clip."""

    def __init__(self, prompt: str | None = None) -> None:
        self.notes: list[str] = []
        self._clip = _Clip(prompt, self._note)
        self._frames = 0
        self._flow = FlowEstimator("medium")
        self._means = {name: _Mean() for name in _MEANS}
        self._spread = _Spread()
        self._distances: Mapping[str, Distance] | None = None
        self._last: tuple[Picture, Picture | None] | None = None

    def add(self, output: Picture, source: Picture | None, target: Picture | None) -> None:
        source, target = self._fitted("source", source, output), self._fitted("target", target, output)
        self._means["sharpness"].add(sharpness(output))
        if source is not None:
            self._means["source_sharpness"].add(sharpness(source))
        if self._last is not None:
            self._add_pair(*self._last, output, source)
        if target is not None:
            self._add_fidelity(output, source, target)
        self._clip.add(self._frames, None if self._last is None else self._last[0], output)
        self._last = (output.copy(), None if source is None else source.copy())
        self._frames += 1

    def _fitted(self, name: str, picture: Picture | None, output: Picture) -> Picture | None:
        if picture is None or picture.shape == output.shape:
            return picture
        self._note(
            f"The {name} is {picture.shape[1]}x{picture.shape[0]}; "
            f"it was resized to the output's {output.shape[1]}x{output.shape[0]}."
        )
        return resize(picture, output.shape[1], output.shape[0])

    def _add_pair(
        self, earlier: Picture, earlier_source: Picture | None, output: Picture, source: Picture | None
    ) -> None:
        if source is None or earlier_source is None:
            self._note("No source was given: flow and occlusion come from the output itself, which flatters it.")
            seen = correspond(earlier, output, self._flow)
        else:
            seen = correspond(earlier_source, source, self._flow)
            self._means["source_warp"].add(warp_error(earlier_source, source, seen))
            self._means["source_motion"].add(_mean_length(seen.flow))
            self._means["motion"].add(_mean_length(self._flow(luma(earlier), luma(output))))
        self._means["warp"].add(warp_error(earlier, output, seen))

    def _add_fidelity(self, output: Picture, source: Picture | None, target: Picture) -> None:
        self._means["psnr"].add(psnr_db(output, target))
        if source is not None:
            self._means["source_psnr"].add(psnr_db(source, target))
        if not self._spread.wants(self._frames):
            return
        if self._distances is None:
            self._distances = _learned_distances(self._note)
        values: dict[str, float | None] = {"ssim": ssim(output, target)}
        for name, distance in self._distances.items():
            compared = [output] if source is None or name != "st_lpips" else [output, source]
            found = self._distance(name, distance, compared, target)
            values |= zip((name, f"source_{name}"), found, strict=False)
        self._spread.add(self._frames, values)

    def _distance(self, name: str, distance: Distance, compared: list[Picture], target: Picture) -> list[float]:
        """One value for each picture that is compared; together, since the target then is looked at only once."""
        pictures = [as_tensor(shrunk(picture, PERCEPTUAL_SIDE_PX)) for picture in (*compared, target)]
        if min(pictures[0].shape[-2:]) < 32:
            self._note(f"{name} needs pictures of at least 32 pixels a side and was left out.")
            return []
        with torch.inference_mode():
            return [float(value) for value in distance(torch.cat(pictures[:-1]), pictures[-1]).flatten()]

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def result(self) -> Metrics:
        if self._frames == 0:
            raise EmptyInput("There is not one frame to measure. Give a clip with at least one frame.")
        means = {name: mean.value for name, mean in self._means.items()}
        if means["warp"] is None:
            self._note("There are no two frames with visible pixels in common: the warp error cannot be given.")
        return Metrics(
            frames=self._frames,
            warp_error=float("nan") if means["warp"] is None else means["warp"],
            source_warp_error=means["source_warp"],
            sharpness=means["sharpness"] or 0.0,
            source_sharpness=means["source_sharpness"],
            motion_degree=self._motion_degree(means["motion"], means["source_motion"]),
            psnr_db=means["psnr"],
            ssim=self._spread.mean("ssim"),
            st_lpips=self._spread.mean("st_lpips"),
            source_psnr_db=means["source_psnr"],
            source_st_lpips=self._spread.mean("source_st_lpips"),
            lpips=self._spread.mean("lpips"),
            clip_consistency=self._clip.spread.mean("consistency"),
            clip_prompt=self._clip.spread.mean("prompt"),
            notes=tuple(self.notes),
        )

    def _motion_degree(self, motion: float | None, source_motion: float | None) -> float | None:
        if motion is None or source_motion is None:
            return None
        if source_motion < STILL_PX:
            self._note("The source stands still, so no motion degree can be given.")
            return None
        return motion / source_motion


class _Clip:
    """CLIP's view of evenly spread frames and their predecessors, where the network is on this machine."""

    def __init__(self, prompt: str | None, note: Callable[[str], None]) -> None:
        found = find_clip()
        if isinstance(found, str):
            note(found)
        self._net = None if isinstance(found, str) else found
        self._text = None if self._net is None or prompt is None else self._net.text(prompt)
        self.spread = _Spread()

    def add(self, index: int, earlier: Picture | None, output: Picture) -> None:
        if self._net is None or not self.spread.wants(index):
            return
        here = self._net.picture(output)
        before = None if earlier is None else 100.0 * float(here @ self._net.picture(earlier))
        agreed = None if self._text is None else 100.0 * float(here @ self._text)
        self.spread.add(index, {"consistency": before, "prompt": agreed})


def _together(
    output: Iterable[Picture], others: Mapping[str, Iterable[Picture] | None], notes: list[str]
) -> Iterator[tuple[Picture, dict[str, Picture]]]:
    """Frames of all clips side by side, checked, until the shortest ends."""
    streams = {name: _checked(frames, name) for name, frames in others.items() if frames is not None}
    count = 0
    for picture in _checked(output, "output"):
        row: dict[str, Picture] = {}
        for name, stream in streams.items():
            other = next(stream, None)
            if other is None:
                notes.append(f"The {name} ends after {count} frames and the output does not; only these were compared.")
                return
            row[name] = other
        yield picture, row
        count += 1
    for name, stream in streams.items():
        if next(stream, None) is not None:
            notes.append(f"The output ends after {count} frames and the {name} does not; only these were compared.")


def _checked(frames: Iterable[Picture], name: str) -> Iterator[Picture]:
    size: tuple[int, ...] | None = None
    for index, picture in enumerate(frames):
        found: Any = picture
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3:
            raise InvalidFrames(f"Frame {index} of the {name} is {_described(found)}; it must be (H, W, 3) uint8.")
        if size is not None and found.shape != size:
            raise InvalidFrames(f"Frame {index} of the {name} is {_described(found)} after {size}; all must be alike.")
        size = found.shape
        yield picture


def _described(found: object) -> str:
    return f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"


def _learned_distances(note: Callable[[str], None]) -> dict[str, Distance]:
    """The learned distances that this machine has; nothing is ever downloaded."""
    found: dict[str, Distance] = {}
    try:
        found["st_lpips"] = ShiftTolerantLPIPS("alex")
    except EngineUnavailable as error:
        note(str(error))
    backbone = Path(torch.hub.get_dir()) / "checkpoints" / _ALEXNET_FILE
    if find_spec("lpips") is not None and backbone.is_file():
        found["lpips"] = _lpips(backbone)
    else:
        note(
            f"LPIPS was left out: it needs the package lpips and {_ALEXNET_FILE} in the torch hub cache, "
            "which vid2vid does not download."
        )
    return found


def _lpips(backbone: Path) -> Distance:
    """LPIPS with the backbone read from a file, instead of by the package, which would go to the network."""
    from lpips import LPIPS

    network = LPIPS(net="alex", pnet_rand=True, verbose=False)
    weights = torch.load(backbone, map_location="cpu", weights_only=True)
    layers = {name: name.split(".", 2)[1:] for name in network.net.state_dict()}
    network.net.load_state_dict({name: weights[f"features.{'.'.join(rest)}"] for name, rest in layers.items()})
    network.eval()

    def distance(picture: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", network(picture, target, normalize=True))

    return distance


def _mean_length(flow: Field) -> float:
    return float(np.linalg.norm(flow, axis=-1).mean(dtype=np.float64))

"""What a swapped face is measured by: whose it is, whether it moves as the clip's own, whether it is as sharp and calm.

One figure alone misleads: the best likeness measured so far was a blurred, frozen mean face.

Convention:
    Paths of landmarks are `(T, 478, 3)` in pixels with `(T,)` bool: whether the face was found. Distances between faces
    are those of dlib's embedding: below 0.6 it takes two for one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from vid2vid.conditions.faces import FaceFinder
from vid2vid.motion.face_blend import face_mask, mouth_opening
from vid2vid.motion.face_light import sharpness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Floats = NDArray[np.float32]

EMBEDDED: Final = 24
"""Most frames of a clip of which embeddings are taken; each takes about 0.1 s."""
_CHIP: Final = 150
_CHIP_POINTS: Final = (263, 362, 33, 133, 2)
_CHIP_PLACES: Final = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)
"""Where the corners of the eyes and the root of the nose lie in the pictures that the embedding was trained on."""
_CHIP_MARGIN: Final = 0.25
_LIDS: Final = ((159, 145), (386, 374))


@dataclass(frozen=True, slots=True)
class FaceScores:
    """Figures of one output clip."""

    identity: float
    """Mean embedding distance to the wanted person; lower is better."""
    identity_nearest: float
    """The same to the most alike picture of that person."""
    leak: float
    """Embedding distance to the clip's own face in the same frame; higher is better."""
    mesh: float
    """Distance of landmarks to the clip's own, after alignment, in distances of the eyes' outer corners."""
    mouth_r: float
    """Correlation of the mouth's opening with the clip's own."""
    eyes_r: float
    """The same of the eyes' opening."""
    jitter: float
    """Second difference of the landmarks, relative to the clip's own."""
    sharpness: float
    """Finest detail on the face, relative to the clip's own."""
    found: float
    """Share of frames with a face in the clip in which the output has one."""
    swapped: float | None
    """Share of frames in which the task says that it changed the face."""

    def as_json(self) -> dict[str, float | None]:
        """Rounded values by name."""
        return {name: None if value is None else round(float(value), 4) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A clip and the path of its main face."""

    frames: Sequence[Picture]
    points: Floats
    present: NDArray[np.bool_]

    def spread(self, count: int = EMBEDDED) -> list[int]:
        """Numbers of at most `count` frames with the face, evenly spread."""
        there = np.flatnonzero(self.present)
        return [int(number) for number in np.unique(there[np.linspace(0, len(there) - 1, count).round().astype(int)])]


class Embedder:
    """dlib's face recognition network, from the extra `dev`."""

    def __init__(self) -> None:
        import dlib

        # The package itself cannot be imported where setuptools no longer brings pkg_resources.
        spec = find_spec("face_recognition_models")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("face_recognition_models: install vid2vid[dev].")
        model = Path(spec.origin).parent / "models" / "dlib_face_recognition_resnet_model_v1.dat"
        self._network: Any = dlib.face_recognition_model_v1(str(model))

    def __call__(self, picture: Picture, points: Floats) -> Floats:
        """`(128,)`."""
        return np.array(self._network.compute_face_descriptor(chip(picture, points)), np.float32)

    def of(self, clip: Watched, numbers: Sequence[int]) -> Floats:
        """`(N, 128)` of frames of a clip."""
        return np.stack([self(clip.frames[number], clip.points[number]) for number in numbers])


def chip(picture: Picture, points: Floats) -> Picture:
    """`(150, 150, 3)`: a face upright and of the size that the embedding knows."""
    places = (np.array(_CHIP_PLACES) + _CHIP_MARGIN) / (1 + 2 * _CHIP_MARGIN) * _CHIP
    matrix = similarity(points[list(_CHIP_POINTS), :2], places)
    scale = float(np.hypot(*matrix[:, 0]))
    if scale < 0.7:  # bilinear reading alone would skip pixels
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.45 / scale), np.uint8)
    return np.asarray(cv2.warpAffine(picture, matrix, (_CHIP, _CHIP), flags=cv2.INTER_LINEAR), np.uint8)


def similarity(points: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.float64]:
    """`(2, 3)` turn, scale and shift that bring `(N, 2)` points nearest to others, in least squares (Umeyama 1991)."""
    middle, goal = points.mean(0, dtype=np.float64), wanted.mean(0, dtype=np.float64)
    one, other = points - middle, wanted - goal
    total = max(float((one * one).sum()), 1e-12)
    cosine, sine = (one * other).sum() / total, (one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum() / total
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, goal - turn @ middle])


def watch(frames: Sequence[Picture], like: Watched | None = None) -> Watched:
    """Follows a clip's main face: the one seen longest, or the one nearest to that of another clip, frame by frame."""
    points, present = np.zeros((len(frames), 478, 3), np.float32), np.zeros(len(frames), bool)
    found = list(FaceFinder().follow(frames))
    numbers = [face.number for faces in found for face in faces]
    longest = max(set(numbers), key=numbers.count) if numbers else -1
    for at, faces in enumerate(found):
        if like is None:
            chosen = [face for face in faces if face.number == longest]
        else:
            there = like.points[at, :, :2].mean(0)
            near = [face for face in faces if np.linalg.norm(face.points[:, :2].mean(0) - there) < iod(like.points[at])]
            chosen = sorted(near, key=lambda face: float(np.linalg.norm(face.points[:, :2].mean(0) - there)))
        if chosen:
            points[at], present[at] = chosen[0].points, True
    return Watched(frames, points, present)


def iod(points: Floats) -> float:
    """Distance of the eyes' outer corners in pixels."""
    return float(np.linalg.norm(points[33, :2] - points[263, :2]))


def mesh_error(points: Floats, wanted: Floats) -> float:
    """Mean distance of landmarks to others after turn, scale and shift, in `iod` of those."""
    matrix = similarity(points[:, :2], wanted[:, :2])
    moved = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return float(np.linalg.norm(moved - wanted[:, :2], axis=1).mean()) / iod(wanted)


def eye_opening(points: Floats) -> float:
    """Mean gap between the lids in `iod`."""
    return float(np.mean([np.linalg.norm(points[a, :2] - points[b, :2]) for a, b in _LIDS])) / iod(points)


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Pearson's r; 0 where either does not move."""
    first, second = np.array(one), np.array(other)
    spread = float(first.std() * second.std())
    return 0.0 if spread < 1e-9 else float(((first - first.mean()) * (second - second.mean())).mean()) / spread


def shake(points: Floats, present: NDArray[np.bool_]) -> float:
    """Mean length of the landmarks' second difference in `iod`, over frames whose neighbours are seen too."""
    whole = np.flatnonzero(present[:-2] & present[1:-1] & present[2:])
    if not len(whole):
        return 0.0
    flat = points[..., :2]
    turned = np.linalg.norm(flat[whole] - 2 * flat[whole + 1] + flat[whole + 2], axis=-1).mean(1)
    return float(np.mean([length / iod(points[at + 1]) for length, at in zip(turned, whole, strict=True)]))


def sharpness_ratio(target: Watched, output: Watched, numbers: Sequence[int]) -> float:
    """Median over frames of the finest detail inside the face's mask, relative to the target's."""
    ratios = []
    for number in numbers:
        points = target.points[number]
        mask = face_mask(points, target.frames[number].shape[:2], (0.0, 0.0), iod(points))
        ratios.append(sharpness(output.frames[number], mask) / max(sharpness(target.frames[number], mask), 1e-6))
    return float(np.median(ratios))


def measure(
    target: Watched, output: Watched, identity: Floats, embed: Embedder, swapped: float | None = None
) -> FaceScores:
    """All figures of one output.

    Args:
        target: the clip.
        output: what was made of it, frame by frame.
        identity: `(N, 128)` embeddings of the person wanted.
        embed: what they were taken with.
        swapped: share of frames in which the task says that it changed the face.
    """
    both = Watched(output.frames, output.points, target.present & output.present)
    if both.present.sum() < 3:
        raise ValueError(f"A face is seen in both clips in {both.present.sum()} frames; 3 are needed.")
    numbers = both.spread()
    made, own = embed.of(both, numbers), embed.of(target, numbers)
    apart = np.linalg.norm(made[:, None] - identity[None], axis=-1)
    seen = np.flatnonzero(both.present)
    pairs = [(output.points[at], target.points[at]) for at in seen]
    return FaceScores(
        identity=float(apart.mean()),
        identity_nearest=float(apart.min(1).mean()),
        leak=float(np.linalg.norm(made - own, axis=1).mean()),
        mesh=float(np.mean([mesh_error(*pair) for pair in pairs])),
        mouth_r=correlation(*([mouth_opening(points) for points in side] for side in zip(*pairs, strict=True))),
        eyes_r=correlation(*([eye_opening(points) for points in side] for side in zip(*pairs, strict=True))),
        jitter=shake(output.points, both.present) / max(shake(target.points, both.present), 1e-9),
        sharpness=sharpness_ratio(target, output, numbers),
        found=float(both.present.sum() / max(1, target.present.sum())),
        swapped=swapped,
    )

"""What an exchanged actor is measured by: likeness, pose, feet, what is left of the old person, and the background.

Convention:
    Joints are `(T, 15, 2)` px as in `vid2vid.motion.skeleton.BODY`, NaN where nobody was found. "h" is the standing
    height of the person driven by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from vid2vid.conditions.flow import FlowEstimator
from vid2vid.conditions.people import PeopleFinder
from vid2vid.losses import ShiftTolerantLPIPS
from vid2vid.metrics import Correspondence, as_tensor, correspond, psnr_db, warp_error
from vid2vid.motion.limbs import SIDES_SWAPPED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vid2vid.conditions.people import Person
    from vid2vid.types import Picture

    Floats = NDArray[np.float32]
    Masks = list[NDArray[np.uint8]]

EVERY: Final = 5
"""Frames between searches for people, as the task has it: their numbers are then the same."""
ROWS: Final = 256
"""Height to which crops are brought for ST-LPIPS."""
ROOM_WHOLE: Final = 0.05
"""h around everything that the person covers on their way: "whole"."""
ROOM_PERSON: Final = 0.12
"""h around the person in each frame: "person"."""
LEARNED_EVERY: Final = 3
"""Frames of which one is looked at by ST-LPIPS."""
ANKLES: Final = (11, 14)
PLANTED: Final = 0.004
"""h a frame below which the driving person's foot stands."""
LOW: Final = 0.06
"""h above its lowest place in half a second within which a foot may stand."""
NEAR: Final = 0.35
"""h within which somebody found in the result is the actor."""
FAR: Final = 0.13
"""h from old and new person beyond which nothing may change."""
_STEADY: Final = 1.0
"""Deviation in frames of the smoothing of ankles before their speed is taken: estimators tremble."""
_LEARNED: Final = ("st_lpips", "person_st_lpips", "masked_st_lpips")
"""The last is "whole" with the truth in place of everything but the person."""
_LEFT: Final = 25.0
"""Levels of 255 by which a pixel differs from the empty scene if somebody is there."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One person through a clip."""

    number: int
    joints: Floats
    visibility: Floats
    """`(T, 15)`."""
    masks: Masks
    """`(H, W)` each, 255 where the person is."""
    boxes: Floats
    """`(T, 4)`: left, top, right, bottom; NaN where nobody was found."""
    height: float

    @property
    def there(self) -> NDArray[np.bool_]:
        """`(T,)`."""
        return np.asarray(np.isfinite(self.boxes[:, 0]))


def people_in(frames: Sequence[Picture]) -> list[Seen]:
    """Everybody in a clip, who is seen longest first."""
    rows = [{one.number: one for one in people} for people in PeopleFinder(EVERY).follow(frames)]
    numbers = sorted({number for row in rows for number in row}, key=lambda one: -sum(one in row for row in rows))
    return [_seen([row.get(number) for row in rows], number, frames[0].shape[:2]) for number in numbers]


def actor_in(frames: Sequence[Picture], driver: Seen) -> Seen:
    """Whoever is where the driving person was, frame by frame."""
    rows: list[Person | None] = []
    for t, people in enumerate(PeopleFinder(EVERY).follow(frames)):
        middle = driver.joints[t].mean(0)
        distances = [float(np.linalg.norm(one.joints.mean(0) - middle)) for one in people]
        near = driver.there[t] and distances and min(distances) < NEAR * driver.height
        rows.append(people[int(np.argmin(distances))] if near else None)
    return _seen(rows, driver.number, frames[0].shape[:2])


def _seen(rows: Sequence[Person | None], number: int, shape: tuple[int, ...]) -> Seen:
    nothing = np.zeros(shape, np.uint8)
    joints, visibility = np.full((len(rows), 15, 2), np.nan, np.float32), np.zeros((len(rows), 15), np.float32)
    boxes, masks = np.full((len(rows), 4), np.nan, np.float32), []
    for t, one in enumerate(rows):
        masks.append(nothing if one is None else np.asarray(np.round(one.mask * 255.0), np.uint8))
        if one is not None:
            joints[t], visibility[t], boxes[t] = one.joints, one.visibility, one.box
    heights = [one.height for one in rows if one is not None]
    return Seen(number, joints, visibility, masks, boxes, float(np.median(heights)) if heights else 1.0)


def grown(mask: NDArray[np.uint8], radius: float) -> NDArray[np.bool_]:
    """A mask made larger."""
    reach = max(1, round(radius))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate((mask > 64).astype(np.uint8), kernel), bool)


class Likeness:
    """PSNR and ST-LPIPS against what the person really did."""

    def __init__(self, truth: Sequence[Picture], seen: Seen) -> None:
        self.truth, self.seen = truth, seen
        self.frames = np.flatnonzero(seen.there).tolist()
        self._whole = window(seen.boxes, ROOM_WHOLE * seen.height, truth[0].shape)
        self._distance = ShiftTolerantLPIPS("alex")

    def box(self, t: int) -> tuple[slice, slice]:
        """Around the person in one frame."""
        return window(self.seen.boxes[t : t + 1], ROOM_PERSON * self.seen.height, self.truth[0].shape)

    def __call__(self, made: Sequence[Picture]) -> dict[str, float]:
        """Means over frames in which the person is there."""
        found: dict[str, list[float]] = {name: [] for name in ("psnr_db", "person_psnr_db")}
        learned: dict[str, list[float]] = {name: [] for name in _LEARNED}
        for t in self.frames:
            picture, true, inside = made[t], self.truth[t], self.seen.masks[t] > 127
            found["psnr_db"].append(psnr_db(picture[self._whole], true[self._whole]))
            if inside.any():
                found["person_psnr_db"].append(psnr_db(picture[inside], true[inside]))
            if t % LEARNED_EVERY == 0:
                only = np.where(inside[..., None], picture, true)
                learned["masked_st_lpips"].append(self._apart(only[self._whole], true[self._whole]))
                learned["st_lpips"].append(self._apart(picture[self._whole], true[self._whole]))
                learned["person_st_lpips"].append(self._apart(picture[self.box(t)], true[self.box(t)]))
        return {name: float(np.mean(values)) for name, values in {**found, **learned}.items()}

    def _apart(self, one: Picture, other: Picture) -> float:
        pair = [as_tensor(to_rows(picture, ROWS)) for picture in (one, other)]
        with torch.inference_mode():
            return float(self._distance(pair[0], pair[1]).mean())


def window(boxes: Floats, room: float, shape: Sequence[int]) -> tuple[slice, slice]:
    """The part of a picture around all boxes."""
    low, high = np.nanmin(boxes[:, :2], 0) - room, np.nanmax(boxes[:, 2:], 0) + room
    top, bottom = int(max(0, low[1])), int(min(shape[0], high[1] + 1))
    left, right = int(max(0, low[0])), int(min(shape[1], high[0] + 1))
    return slice(top, bottom), slice(left, right)


def to_rows(picture: Picture, rows: int) -> Picture:
    """A picture at another height."""
    scale = rows / picture.shape[0]
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    size = (max(32, round(picture.shape[1] * scale)), rows)
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def nearest_shown(
    shown: Sequence[Picture], seen: Seen, driver: Seen, truth: Sequence[Picture], plate: Picture
) -> list[Picture]:
    """For each frame, the person of the shown frame whose pose is nearest, cut out and laid over the empty scene where
    the hips meet.

    Args:
        shown: frames that are shown of the person, of the film's size.
        seen: the person in them.
        driver: the person in the film.
        truth: the film.
        plate: the empty scene.
    """
    known = np.flatnonzero(seen.there)
    poses = (seen.joints[known] - seen.joints[known][:, 2:3]) / seen.height
    made = []
    for t, true in enumerate(truth):
        if not driver.there[t]:
            made.append(true)
            continue
        pose = (driver.joints[t] - driver.joints[t, 2]) / driver.height
        best = int(known[np.linalg.norm(poses - pose, axis=-1).mean(-1).argmin()])
        shift = driver.joints[t, 2] - seen.joints[best, 2]
        way, size = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32), (true.shape[1], true.shape[0])
        person = cv2.warpAffine(shown[best], way, size, borderMode=cv2.BORDER_REPLICATE)
        share = cv2.warpAffine(seen.masks[best], way, size)[..., None] / np.float32(255.0)
        made.append(np.asarray((person * share + plate * (1.0 - share)).round(), np.uint8))
    return made


def pose_errors(driver: Seen, made: Seen) -> dict[str, float]:
    """Distance of joints in h, left and right exchanged where that fits better, and the share of frames missed."""
    errors = []
    for t in np.flatnonzero(driver.there & made.there).tolist():
        sure = (driver.visibility[t] > 0.5) & (_sided(made.visibility, made, driver, t) > 0.5)
        apart = np.linalg.norm(_sided(made.joints, made, driver, t) - driver.joints[t], axis=-1)
        errors.append(float(apart[sure].mean()) if sure.any() else np.nan)
    missed = 1.0 - float(made.there[driver.there].mean()) if driver.there.any() else 1.0
    return {"pose_error_h": float(np.nanmean(errors)) / driver.height if errors else np.nan, "missed": missed}


def _sided(values: Floats, made: Seen, driver: Seen, t: int) -> Floats:
    """Values of a frame with left and right as the driving person has them: networks take one for the other."""
    swapped = list(SIDES_SWAPPED)
    straight, other = (
        np.linalg.norm(made.joints[t][order] - driver.joints[t], axis=-1).mean() for order in (list(range(15)), swapped)
    )
    return np.asarray(values[t][swapped] if other < straight else values[t], np.float32)


def foot_slides(driver: Seen, made: Seen) -> dict[str, float]:
    """Way that a foot of the result goes in a frame in which the driving person's stands, in h: mean, and the
    driving person's own.
    """
    both = driver.there & made.there
    if both.sum() < 5:
        return {"slide_h": np.nan, "own_slide_h": np.nan}
    steps, own = [], []
    for ankle in ANKLES:
        # Of the two ankles found the nearer one: seen from the side, networks take left for right now and then.
        apart = np.linalg.norm(made.joints[:, ANKLES] - driver.joints[:, None, ankle], axis=-1)
        which = np.where(np.isfinite(apart), apart, np.inf).argmin(1)
        found = np.take_along_axis(made.joints[:, ANKLES], which[:, None, None], 1)[:, 0]
        first, second = (_steady(path, both) / driver.height for path in (driver.joints[:, ankle], found))
        low = first[:, 1] > maximum_filter1d(first[:, 1], 15, mode="nearest") - LOW
        speeds, others = (np.linalg.norm(np.diff(path, axis=0), axis=-1) for path in (first, second))
        stands = (speeds < PLANTED) & low[1:] & both[1:] & both[:-1]
        steps += others[stands].tolist()
        own += speeds[stands].tolist()
    return {"slide_h": float(np.mean(steps)), "own_slide_h": float(np.mean(own))} if steps else {}


def _steady(path: Floats, both: NDArray[np.bool_]) -> Floats:
    known = np.flatnonzero(both)
    filled = np.stack([np.interp(np.arange(len(path)), known, path[known, axis]) for axis in (0, 1)], 1)
    return np.asarray(gaussian_filter1d(filled, _STEADY, axis=0, mode="nearest"), np.float32)


def left_overs(
    source: Sequence[Picture],
    made: Sequence[Picture],
    plates: Sequence[Picture],
    driver: Seen,
    actor: Seen,
    known: NDArray[np.bool_] | bool = True,
) -> dict[str, float]:
    """What is still to be seen of the old person where the actor is not and the empty scene is `known`.

    Returns:
        `left`: share of the old person's clearly visible pixels that are as they were; `plate_psnr_db`: likeness to the
        empty scene there.
    """
    same, clear, errors, count = 0, 0, 0.0, 0
    for t in np.flatnonzero(driver.there).tolist():
        inside = (driver.masks[t] > 127) & ~grown(actor.masks[t], 0.03 * driver.height) & known
        differs = inside & (cv2.absdiff(source[t], plates[t]).max(-1) > _LEFT)
        same += int((cv2.absdiff(source[t], made[t]).max(-1)[differs] < 6).sum())
        clear += int(differs.sum())
        errors += float(np.square(made[t][inside].astype(np.float64) - plates[t][inside]).sum()) / 3.0
        count += int(inside.sum())
    error = errors / max(1, count) / 255.0**2
    return {"left": same / max(1, clear), "plate_psnr_db": -10.0 * float(np.log10(max(error, 1e-10)))}


def changes_elsewhere(
    source: Sequence[Picture], made: Sequence[Picture], driver: Seen, actor: Seen, others: Sequence[Seen]
) -> dict[str, float]:
    """Share of pixels that changed although they should not: far from old and new person and from the ground under
    them, and of everybody who was not chosen.
    """
    wrong, count, touched, people = 0, 0, 0, 0
    for t, (before, after) in enumerate(zip(source, made, strict=True)):
        changed = (before != after).any(-1)
        near = grown(driver.masks[t], FAR * driver.height) | grown(actor.masks[t], FAR * driver.height)
        near |= _ground(near, driver.height)
        wrong, count = wrong + int((changed & ~near).sum()), count + int((~near).sum())
        for other in others:
            theirs = (other.masks[t] > 200) & ~grown(driver.masks[t], 0.03 * driver.height)
            touched, people = touched + int((changed & theirs).sum()), people + int(theirs.sum())
    return {"changed_far": wrong / max(1, count), "changed_others": touched / max(1, people)}


def _ground(near: NDArray[np.bool_], height: float) -> NDArray[np.bool_]:
    """Where the actor's shadow may fall."""
    rows = np.flatnonzero(near.any(1))
    result = np.zeros_like(near)
    if len(rows):
        columns = np.flatnonzero(near.any(0))
        low, reach = rows[-1], round(0.9 * height)
        result[max(0, low - round(0.45 * height)) : low + round(0.3 * height),
               max(0, columns[0] - reach) : columns[-1] + reach] = True  # fmt: skip
    return result


def background_warp(
    source: Sequence[Picture],
    made: Sequence[Picture],
    people: Sequence[Seen],
    actor: Seen,
    camera: Callable[[int], Floats] | None = None,
) -> dict[str, float]:
    """Warp error beside the people: of the result, and of the source.

    Flow is the camera's (of frame t - 1, where it is in frame t; none for one that stands still), in which what is
    filled in counts like the rest.
    """
    ours: list[float] = []
    theirs: list[float] = []
    still = np.zeros((*source[0].shape[:2], 2), np.float32)
    for t in range(1, len(source)):
        old = np.any([grown(one.masks[n], 0.05 * one.height) for one in people for n in (t - 1, t)], 0)
        new = np.any([grown(actor.masks[n], 0.05 * actor.height) for n in (t - 1, t)], 0)
        rest = [one for one in people if one.number != actor.number]
        if rest:
            new |= np.any([grown(one.masks[n], 0.05 * one.height) for one in rest for n in (t - 1, t)], 0)
        moves = still if camera is None else camera(t)
        for values, pictures, hidden in ((ours, made, new), (theirs, source, old)):
            error = warp_error(pictures[t - 1], pictures[t], Correspondence(moves, ~hidden))
            if error is not None:
                values.append(error)
    return {"warp_e4": 1e4 * float(np.mean(ours)), "own_warp_e4": 1e4 * float(np.mean(theirs))}


def trembling(made: Sequence[Picture], likeness: Likeness) -> float:
    """Warp error on the person, x 1e4: with the true clip's flow."""
    flow, found = FlowEstimator("medium"), []
    for before, after in pairwise(likeness.frames):
        if after != before + 1:
            continue
        seen = correspond(likeness.truth[before], likeness.truth[after], flow)
        inside = seen.visible & (likeness.seen.masks[before] > 127)
        found.append(warp_error(made[before], made[after], Correspondence(seen.flow, inside)))
    return 1e4 * float(np.mean([value for value in found if value is not None]))


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Short enough to read."""
    return {name: round(float(value), 5) for name, value in values.items()}


def spread(frames: Iterable[int], count: int) -> list[int]:
    """Some of them, evenly."""
    every = list(frames)
    return [every[int(n)] for n in np.linspace(0, len(every) - 1, min(count, len(every))).round()]

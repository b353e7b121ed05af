"""Frames drawn around the panels of a photographed sheet: found, chosen, ordered, fitted to the pen's line.

Source: contours of thresholded ink and `approxPolyDP`, as many document scanners do it (OpenCV). Several thresholds are
tried, since ruled paper joins everything at the faint ones and pencil breaks at the strong ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vid2vid.types import Picture

    Array = NDArray[np.float64]

    Quad = NDArray[np.float64]
    """`(4, 2)` corners in pixels, clockwise from the upper left one."""

INK_LEVELS: Final = (0.07, 0.12, 0.2, 0.32, 0.5)
"""Contrasts to the paper around at which ink is cut out."""
SMALLEST, LARGEST = 0.005, 0.35
"""Shares of the photograph that a panel takes."""
_LEAST_TOGETHER: Final = 0.07
"""Share of the photograph that all panels take; the squares of squared paper and small things drawn take less."""
_SQUARENESS: Final = 0.86
"""Least share of a contour's hull that its four corners span."""
_DRAWN: Final = 0.7
"""Least share of every side along which a frame has ink."""
_ALIKE: Final = 1.7
"""Most that neighbouring panels' sides differ: perspective and the hand."""
_REACH: Final = 3.6
"""Widths of a panel within which the next one of the row is looked for; one panel may be missing in between."""


def ink_contrast(picture: Picture, bright: bool) -> NDArray[np.float32]:
    """How much ink stands out from the paper around it.

    Args:
        picture: `(H, W, 3)` uint8.
        bright: looks for chalk on a board instead of ink on paper.

    Returns:
        `(H, W)` float32, 0 on the paper; relative to the paper's own brightness, so shadows do not matter.
    """
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    size = max(5, round(0.035 * max(small.shape))) | 1
    ground = cv2.resize(cv2.medianBlur(small, size), (width, height), interpolation=cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.0)
    difference = cv2.subtract(smooth, ground) if bright else cv2.subtract(ground, smooth)
    strongest = difference.max(axis=2).astype(np.float32)
    contrast: NDArray[np.float32] = strongest / np.maximum(ground.max(axis=2), 40)
    return contrast


def find_frames(contrast: NDArray[np.float32]) -> list[Quad]:
    """Finds the frames of one sheet, in no order; none where there are less than two alike.

    Args:
        contrast: `(H, W)` as `ink_contrast` gives.
    """
    candidates: list[Quad] = []
    for level in INK_LEVELS:
        ink = (contrast > level).astype(np.uint8)
        for reach in (3, 7):
            closed = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
            candidates += _quads(closed)
    framed = _distinct([quad for quad in candidates if _drawn_share(contrast, quad) > _DRAWN])
    return _best_group(framed, _LEAST_TOGETHER * contrast.size)


def _drawn_share(contrast: NDArray[np.float32], quad: Quad) -> float:
    """Share of the least drawn side along which there is ink; 0 for a quad that the photograph's edge cuts."""
    height, width = contrast.shape
    if quad.min() < 2 or (quad.max(0) > (width - 3, height - 3)).any():
        return 0.0
    following = np.roll(quad, -1, axis=0)
    along = quad[:, None] + (following - quad)[:, None] * np.linspace(0.03, 0.97, 48)[None, :, None]
    normal = np.stack([quad[:, 1] - following[:, 1], following[:, 0] - quad[:, 0]], axis=1)
    reach = np.linspace(-1, 1, 13) * np.maximum(2.5, 0.016 * np.linalg.norm(normal, axis=1))[:, None]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    places = along[:, :, None] + (normal[:, None] * reach[..., None])[:, None]
    columns, rows = (places[..., k].reshape(4, -1).astype(np.float32) for k in (0, 1))
    seen = cv2.remap(contrast, columns, rows, cv2.INTER_LINEAR).reshape(4, 48, 13).max(axis=2)
    share: Array = (seen > max(INK_LEVELS[0], 0.35 * float(np.median(seen)))).mean(axis=1)
    return float(share.min())


def _quads(ink: Picture) -> list[Quad]:
    total = ink.size
    contours, _ = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        _, _, width, height = cv2.boundingRect(contour)
        if not SMALLEST * total < width * height < 2.5 * LARGEST * total:
            continue
        hull = cv2.convexHull(contour)
        area = cv2.contourArea(hull)
        quad = four_corners(hull) if SMALLEST * total < area < LARGEST * total else None
        if quad is not None and cv2.contourArea(quad.astype(np.float32)) > _SQUARENESS * area:
            found.append(quad)
    return found


def four_corners(hull: NDArray[Any]) -> Quad | None:
    """The four corners of an upright shape, None where it has not four."""
    length = cv2.arcLength(hull, True)
    for tolerance in (0.02, 0.035, 0.05, 0.07):
        corners = cv2.approxPolyDP(hull, tolerance * length, True)
        if len(corners) == 4:
            return _ordered(corners[:, 0].astype(np.float64))
        if len(corners) < 4:
            break
    return None


def _ordered(corners: Array) -> Quad | None:
    """Clockwise from the upper left; None for a shape that is no upright panel."""
    centre = corners.mean(0)
    around = corners[np.argsort(np.arctan2(*(corners - centre).T[::-1]))]
    first = int(np.argmin(around.sum(1)))
    quad = np.roll(around, -first, axis=0)
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    top = quad[1] - quad[0]
    if sides.min() < 0.2 * sides.max() or abs(np.arctan2(top[1], top[0])) > np.radians(35):
        return None
    return quad


def mean_sides(quad: Quad) -> tuple[float, float]:
    """Mean width and height of a quad."""
    lengths = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    return float(lengths[[0, 2]].mean()), float(lengths[[1, 3]].mean())


def _distinct(quads: Sequence[Quad]) -> list[Quad]:
    """Of nearly equal quads the largest: the outside of a frame rather than its inside above the ground's line."""
    kept: list[Quad] = []
    for quad in sorted(quads, key=lambda quad: -float(np.prod(mean_sides(quad)))):
        width, height = mean_sides(quad)
        if not any(
            np.abs(quad.mean(0) - other.mean(0)).max() < 0.2 * max(width, height)
            and np.prod(mean_sides(other)) < 1.6 * width * height
            for other in kept
        ):
            kept.append(quad)
    return kept


def _best_group(quads: Sequence[Quad], least_area: float) -> list[Quad]:
    """The panels: quads of one size side by side that together cover most."""
    best: list[Quad] = []
    covered = least_area
    waiting = list(range(len(quads)))
    while waiting:
        group = [waiting.pop()]
        for member in group:
            joined = [k for k in waiting if _neighbours(quads[member], quads[k])]
            group += joined
            waiting = [k for k in waiting if k not in joined]
        members = _apart([quads[k] for k in group])
        area = sum(float(np.prod(mean_sides(quad))) for quad in members)
        if len(members) > 1 and area > covered:
            best, covered = members, area
    return best


def _apart(quads: Sequence[Quad]) -> list[Quad]:
    """Leaves out quads that lie in larger ones: parts of a panel that a line in the drawing cuts off."""
    kept: list[Quad] = []
    for quad in sorted(quads, key=lambda quad: -float(np.prod(mean_sides(quad)))):
        if all(np.abs(_seen_from(other, quad.mean(0)) - 0.5).max() > 0.5 for other in kept):
            kept.append(quad)
    return kept


def _neighbours(one: Quad, other: Quad) -> bool:
    """Whether two quads have about the same sides, lie beside each other, and do not overlap."""
    ratios = np.array(mean_sides(one)) / np.array(mean_sides(other))
    if ratios.max() > _ALIKE or ratios.min() < 1 / _ALIKE:
        return False
    place = _seen_from(one, other.mean(0)) - 0.5
    return bool(0.8 < np.abs(place).max() < 2.6)


def _seen_from(quad: Quad, point: Array) -> Array:
    """Place of a point where the quad is the unit square."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), square)
    seen = matrix @ np.array([*point, 1.0])
    place: Array = seen[:2] / (seen[2] if seen[2] > 1e-3 else np.nan)
    return place


def in_reading_order(quads: Sequence[Quad]) -> list[Quad]:
    """Row by row from the top, each from the left, whatever the sheet's turn.

    Every panel looks to its right along its own sides; panels that see each other so are a row.
    """
    row = list(range(len(quads)))
    for i, quad in enumerate(quads):
        for j, other in enumerate(quads):
            across, down = _seen_from(quad, other.mean(0))
            if 0.8 < across < _REACH and abs(down - 0.5) < 0.5:
                row = [row[i] if number == row[j] else number for number in row]
    top = np.mean([quad[1] - quad[0] for quad in quads], axis=0)
    along = top / np.linalg.norm(top)
    down_page = np.array([-along[1], along[0]])
    rows = [[quad for quad, number in zip(quads, row, strict=True) if number == which] for which in set(row)]
    rows.sort(key=lambda members: float(np.mean([quad.mean(0) @ down_page for quad in members])))
    return [quad for members in rows for quad in sorted(members, key=lambda quad: float(quad.mean(0) @ along))]


def fit_to_line(contrast: NDArray[np.float32], quad: Quad) -> tuple[Quad, float]:
    """Moves a quad's sides onto the middle of the pen's line.

    Args:
        contrast: `(H, W)` as `ink_contrast` gives.
        quad: corners on or near the line.

    Returns:
        The corners, and how far the line's ink reaches inwards from the straight sides, in pixels.
    """
    lines, inward = [], []
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        line, reach = _fitted_side(contrast, start, end)
        lines.append(line)
        inward.append(reach)
    corners = [_crossing(before, line) for before, line in zip(np.roll(np.array(lines), 1, axis=0), lines, strict=True)]
    fitted = np.array(corners)
    limit = 0.06 * min(mean_sides(quad))
    if not np.isfinite(fitted).all() or np.linalg.norm(fitted - quad, axis=1).max() > limit:
        return quad, max(inward)
    return fitted, max(inward)


def _fitted_side(contrast: NDArray[np.float32], start: Array, end: Array) -> tuple[Array, float]:
    """A side as (a point, its direction), `(4,)`, and how far its ink reaches inwards."""
    length = float(np.linalg.norm(end - start))
    direction = (end - start) / length
    inwards = np.array([-direction[1], direction[0]])
    reach = max(4.0, 0.03 * length)
    along = np.linspace(0.06, 0.94, 60)[:, None, None] * length * direction
    offsets = np.arange(-reach, reach + 0.25, 0.5)
    places = start + along + offsets[None, :, None] * inwards
    seen = cv2.remap(contrast, places[..., 0].astype(np.float32), places[..., 1].astype(np.float32), cv2.INTER_LINEAR)
    strength = cv2.GaussianBlur(seen, (1, 3), 0) * np.exp(-0.5 * (offsets / (0.6 * reach)) ** 2)
    peak = strength.argmax(axis=1)
    near = np.abs(offsets[None] - offsets[peak][:, None]) <= 3.0
    weight = seen * near
    total = weight.sum(1)
    clear = total > 0.25 * np.median(total)
    middle = (weight * offsets).sum(1)[clear] / total[clear]
    points = (start + along[clear, 0] + middle[:, None] * inwards).astype(np.float32)
    vx, vy, x, y = cv2.fitLine(points, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel().astype(np.float64)
    line = np.array([x, y, vx, vy])
    away = (points - line[:2]) @ inwards
    thick = np.median((seen > 0.4 * seen.max(axis=1, keepdims=True))[clear].sum(1)) * 0.5
    return line, float(np.percentile(away, 95) + thick / 2)


def _crossing(one: Array, other: Array) -> Array:
    """Where two lines meet; not finite where they do not."""
    system = np.stack([one[2:], -other[2:]], axis=1)
    if abs(np.linalg.det(system)) < 1e-6:
        return np.full(2, np.nan)
    share = np.linalg.solve(system, other[:2] - one[:2])
    place: Array = one[:2] + share[0] * one[2:]
    return place

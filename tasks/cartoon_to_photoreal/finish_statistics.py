"""What is measured of a clip before it is finished, and how its colours and tones are led towards live footage.

Convention: CIE L*a*b* with L in [0, 100]. Moments are E[v v^T] with v = (a, b): chroma is taken about grey and not
about its mean, so that the transport keeps grey grey instead of tinting it by what the scene happens to show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from vid2vid.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Table = NDArray[np.float64]

LIVE_LIGHTNESS = (
    *(1.5, 15.7, 24.9, 31.7, 39.0, 45.2, 49.6, 52.7, 55.9),
    *(60.3, 63.9, 66.9, 70.3, 74.3, 78.5, 85.9, 98.1),
)
"""Quantiles 0, 1/16 ... 1 of L of live footage: the mean over 7 clips (street, park, hands, office, face, sports hall),
24 frames evenly through each, taken down by area averaging to about 180 rows. Night and graded clips left out."""
LIVE_MOMENTS = ((69.7, 38.3), (38.3, 198.0))
"""Moments of (a, b) of the same frames, averaged over the clips with equal weights."""
LIVE_CRISPNESS = 1.05
"""Median over 12 live clips, at their own size, of `FinishStatistics.crispness`."""
SLOPE_LIMITS = (0.6, 1.5)
"""Least and greatest slope of the tone curve: below it blotches show in blacks, above it bands."""
GAIN_LIMITS = (0.5, 1.15)
"""Least and greatest eigenvalue of the colour transport."""
TABLE_SIZE = 257
"""Entries of a tone curve over L in [0, 100]."""


@dataclass(frozen=True, slots=True)
class FinishStatistics:
    """What the finish has to know of a whole clip. Hashable, so that what follows from it is worked out once."""

    lightness: tuple[float, ...]
    """Quantiles 0, 1/16 ... 1 of L."""
    moments: tuple[tuple[float, ...], ...]
    """2 x 2 moments of (a, b) about grey."""
    crispness: float
    """Laplacian over gradient magnitude of luma on the strongest 5 % of the edges; 1 is a camera, 2 a hard edge."""
    sharpness: float
    """Mean variance of the Laplacian of luma in [0, 255]."""
    height: int
    """Rows of the frames."""
    frames: int
    """Number of frames looked at."""


def measure_statistics(frames: Iterable[Picture]) -> FinishStatistics:
    """Statistics of a clip from some of its frames.

    Args:
        frames: (H, W, 3) uint8 sRGB pictures of one size; about 24 spread over the clip are enough. Where the source
            cannot be read twice, hand over its first chunk and keep the result for the whole clip.

    Returns:
        The statistics, each frame with the same weight.

    Raises:
        InvalidOption: No frame was given.
    """
    colours, crispness, sharpness = [], [], []
    height = 0
    for frame in frames:
        height = frame.shape[0]
        colours.append(_colours(frame))
        crisp, sharp = _edges(frame)
        crispness.append(crisp)
        sharpness.append(sharp)
    if not colours:
        raise InvalidOption("frames=(): measure_statistics() needs at least one frame; hand over a few of the clip.")
    lab = np.concatenate(colours)
    quantiles = np.quantile(lab[:, 0], np.linspace(0.0, 1.0, len(LIVE_LIGHTNESS)))
    chroma = lab[:, 1:]
    return FinishStatistics(
        lightness=tuple(round(float(value), 3) for value in quantiles),
        moments=tuple(tuple(round(float(value), 3) for value in row) for row in chroma.T @ chroma / len(chroma)),
        crispness=float(np.mean(crispness)),
        sharpness=float(np.mean(sharpness)),
        height=height,
        frames=len(colours),
    )


def _colours(frame: Picture) -> Table:
    """(N, 3) L*a*b* of the frame at about 180 rows."""
    shrink = max(1, round(min(frame.shape[:2]) / 180))
    size = (max(1, frame.shape[1] // shrink), max(1, frame.shape[0] // shrink))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return cast("Table", lab.reshape(-1, 3).astype(np.float64))


def _edges(frame: Picture) -> tuple[float, float]:
    """Crispness of the strong edges and variance of the Laplacian of luma."""
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    laplacian = cv2.Laplacian(luma, cv2.CV_32F)
    slope = cv2.magnitude(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)) / 8.0
    strong = slope >= max(float(np.quantile(slope, 0.95)), 1.0)
    crispness = float(np.abs(laplacian[strong]).mean() / slope[strong].mean()) if strong.any() else 0.0
    return crispness, float(laplacian.var())


def tone_curve(statistics: FinishStatistics, strength: float) -> Table:
    """The film's response: lightness out at `TABLE_SIZE` lightnesses in [0, 100].

    The spread of tones is led to that of live footage about the clip's own median (exposure is the scene's affair),
    then through a toe and a shoulder, with a lifted black.

    Args:
        statistics: Of the clip.
        strength: 0 gives the identity, 1 the full response.

    Returns:
        (TABLE_SIZE,) rising table whose slope keeps `SLOPE_LIMITS` and whose values keep [0, 100].
    """
    lightness = np.linspace(0.0, 100.0, TABLE_SIZE)
    source = np.maximum.accumulate(np.asarray(statistics.lightness) + 1e-3 * np.arange(len(statistics.lightness)))
    median = len(source) // 2
    live = np.asarray(LIVE_LIGHTNESS) - LIVE_LIGHTNESS[median] + source[median]
    matched = np.interp(lightness, source, live)
    # Outside the measured tones the last offset goes on, else the curve would be flat there.
    matched += np.minimum(lightness - source[0], 0.0) + np.maximum(lightness - source[-1], 0.0)
    curve = lightness + 0.35 * strength * (matched - lightness)
    curve = curve + 2.2 * strength * np.sin(2.0 * np.pi * (curve - 50.0) / 100.0)
    return _limit_slope(curve, black=2.0 * strength, white=100.0 - strength)


def _limit_slope(curve: Table, black: float, white: float) -> Table:
    """`curve` with slopes inside `SLOPE_LIMITS`, anchored at its middle and kept between black and white."""
    low, high = SLOPE_LIMITS
    step = 100.0 / (len(curve) - 1)
    middle = len(curve) // 2
    anchor = float(np.clip(curve[middle], 35.0, 65.0))
    slopes = np.clip(np.diff(curve) / step, low, high)
    for half, room in ((np.s_[:middle], anchor - black), (np.s_[middle:], white - anchor)):
        reach = float(slopes[half].sum() * step)
        if reach > room:
            # Towards the least slope just so far that the end meets black or white instead of being cut off.
            slopes[half] += (reach - room) / (reach - 50.0 * low) * (low - slopes[half])
    rising = np.concatenate(([0.0], np.cumsum(slopes) * step))
    return cast("Table", rising - rising[middle] + anchor)


def colour_transport(statistics: FinishStatistics, strength: float) -> Table:
    """(2, 2) linear map of (a, b) that leads the clip's colours towards those of live footage.

    Source: Pitie and Kokaram 2007, equation 9 (Monge-Kantorovich). Departures: chroma only, since a share of lightness
    in it would tint shadows against lights (the tone curve leads lightness); moments about grey (see the module);
    eigenvalues held in `GAIN_LIMITS`.

    Args:
        statistics: Of the clip.
        strength: Share of the transport, in [0, 0.5]; 0 gives the identity.
    """
    # One unit of chroma is added, else a grey clip would have no inverse.
    source = np.asarray(statistics.moments) + np.eye(2)
    root, inverse = _matrix_power(source, 0.5), _matrix_power(source, -0.5)
    full = inverse @ _matrix_power(root @ np.asarray(LIVE_MOMENTS) @ root, 0.5) @ inverse
    values, vectors = np.linalg.eigh(full)
    held = (vectors * np.clip(values, *GAIN_LIMITS)) @ vectors.T
    return cast("Table", (1.0 - strength) * np.eye(2) + strength * held)


def _matrix_power(matrix: Table, exponent: float) -> Table:
    values, vectors = np.linalg.eigh(matrix)
    return cast("Table", (vectors * np.maximum(values, 1e-6) ** exponent) @ vectors.T)

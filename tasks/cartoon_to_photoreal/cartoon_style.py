"""The parameters of one drawn look, and how they are drawn at random.

Convention:
    Sizes in pixels hold for a frame of 360 rows and grow with `CartoonStyle.nominal_height`. Lightness and chroma are
    CIE L*a*b* units (L in [0, 100]); colours and thresholds on pictures are sRGB in [0, 1].

Held-out styles share no smoothing method, no line method, no number of bands and no chroma axis with training styles:
    what                    training                              held out
    smoothing               bilateral, domain, guided, kuwahara   mean_shift, rolling
    lines                   dog, gradient, traced                 canny
    tonal bands             4, 5, 7, 8, 10, 12                    6, 9, 11
    chroma axis, degrees    0 to 45                               50 to 85

Line widths are not kept apart: 0.6 to 1.4 pixels in training, 1.0 to 1.25 in held-out styles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

Look = Literal["ink", "cel", "paint", "cgi"]
Smoothing = Literal["bilateral", "domain", "guided", "kuwahara", "mean_shift", "rolling"]
Lines = Literal["none", "dog", "gradient", "traced", "canny"]

REFERENCE_HEIGHT = 360
"""Rows of the frame for which sizes in pixels are given."""

PASSES: Mapping[Smoothing, tuple[int, int]] = MappingProxyType(
    {
        "bilateral": (2, 4),
        "domain": (1, 2),
        "guided": (3, 5),
        "kuwahara": (1, 2),
        "mean_shift": (1, 1),
        "rolling": (1, 1),
    }
)
"""Fewest and most passes of each filter: with these all six wipe out about as much."""


@dataclass(frozen=True, slots=True)
class CartoonStyle:
    """One drawn look, the same for every frame of a clip."""

    look: Look
    """Family: inked comic, cel with shade bands, painted flat regions, or smooth computer animation."""
    smoothing: Smoothing
    """Edge-preserving filter that wipes out texture."""
    smoothing_scale: float
    """Scale at which it runs, in (0, 1]; lower is stronger, softer and faster."""
    radius_px: float
    """Reach of the filter."""
    tolerance: float
    """Contrast that counts as texture and is wiped out, in [0, 1] sRGB."""
    passes: int
    """How often it is applied."""
    crispness: float = 0.0
    """Unsharp gain that gives flattened regions a drawn border."""
    bands: int = 8
    """Tonal bands over the whole lightness range."""
    band_offset: float = 0.0
    """Shift of the bands, in bands, [0, 1)."""
    band_hardness: float = 6.0
    """Steepness of the step between bands: 3 is airbrushed, 14 is cut paper."""
    band_mix: float = 0.0
    """How far lightness moves to its band, in [0, 1]."""
    cel_step: float = 0.0
    """Depth of the two shade tones around the local mean lightness, in L; 0 leaves shading as it is."""
    cel_radius_px: float = 16.0
    """Size of the neighbourhood whose mean separates light from shade."""
    chroma_step: float = 12.0
    """Distance of palette entries along each chroma axis."""
    chroma_offset: tuple[float, float] = (0.0, 0.0)
    """Shift of the palette, in steps, along each axis."""
    chroma_angle_deg: float = 0.0
    """Turn of the palette's axes in the a-b plane."""
    chroma_mix: float = 0.0
    """How far colour moves to its palette entry, in [0, 1]."""
    lines: Lines = "none"
    """How ink lines are found."""
    line_width_px: float = 0.8
    """Standard deviation of the line detector's inner Gaussian."""
    line_threshold: float = 0.02
    """Edge strength at which a line begins."""
    line_darkness: float = 0.0
    """Opacity of the ink, in [0, 1]."""
    ink: tuple[float, float, float] = (0.05, 0.05, 0.08)
    """Colour of the ink, sRGB in [0, 1]."""
    saturation: float = 1.0
    """Gain of chroma."""
    contrast: float = 1.0
    """Gain of lightness about L = 50."""
    bloom: float = 0.0
    """Strength of the glow around highlights, in [0, 1]."""
    softness_px: float = 0.0
    """Standard deviation of a last blur, as of a soft transfer."""
    nominal_height: int = REFERENCE_HEIGHT
    """Rows of the full frame; crops keep that of the frame they were cut from."""

    @property
    def pixel_scale(self) -> float:
        """Pixels of this footage for each pixel of the reference frame."""
        return self.nominal_height / REFERENCE_HEIGHT


def sample_style(rng: np.random.Generator, *, held_out: bool = False) -> CartoonStyle:
    """One random look.

    Args:
        rng: Source of chance; its state advances.
        held_out: Draw from the test styles, disjoint from the training styles (see the module's table).

    Returns:
        A style for footage of 360 rows; use `dataclasses.replace(style, nominal_height=...)` for another size.
    """
    families: tuple[tuple[Callable[[np.random.Generator, CartoonStyle, bool], CartoonStyle], float], ...] = (
        (_ink, 0.3),
        (_cel, 0.25),
        (_paint, 0.2),
        (_cgi, 0.25),
    )
    choice = rng.choice(len(families), p=[share for _, share in families])
    return families[choice][0](rng, _base(rng, held_out), held_out)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


def _base(rng: np.random.Generator, held_out: bool) -> CartoonStyle:
    """Smoothing, palette and tone, which every look has."""
    methods: tuple[Smoothing, ...] = ("bilateral", "domain", "guided", "kuwahara")
    bands: tuple[int, ...] = (4, 5, 7, 8, 10, 12)
    angles = (0.0, 45.0)
    if held_out:
        methods, bands, angles = ("mean_shift", "rolling"), (6, 9, 11), (50.0, 85.0)
    smoothing = methods[rng.integers(len(methods))]
    low, high = PASSES[smoothing]
    return CartoonStyle(
        look="paint",
        smoothing=smoothing,
        smoothing_scale=_between(rng, 0.5, 0.8),
        radius_px=_between(rng, 6.0, 10.0),
        tolerance=_between(rng, 0.1, 0.24),
        passes=int(rng.integers(low, high + 1)),
        crispness=_between(rng, 0.6, 1.4),
        bands=bands[rng.integers(len(bands))],
        band_offset=_between(rng, 0.0, 1.0),
        chroma_step=_between(rng, 8.0, 16.0),
        chroma_offset=(_between(rng, -0.25, 0.25), _between(rng, -0.25, 0.25)),
        chroma_angle_deg=_between(rng, *angles),
        saturation=_between(rng, 1.15, 1.55),
        contrast=_between(rng, 1.02, 1.18),
    )


def _with_lines(rng: np.random.Generator, style: CartoonStyle, held_out: bool, darkness: float) -> CartoonStyle:
    methods: tuple[Lines, ...] = ("dog", "gradient", "traced", "traced")
    width = (0.6, 1.4)
    if held_out:
        methods, width = ("canny",), (1.0, 1.25)
    level = float(rng.uniform(0.02, 0.14))
    tint = rng.normal(0.0, 0.03, 3)
    red, green, blue = (round(float(min(max(level + shift, 0.0), 0.25)), 4) for shift in tint)
    return replace(
        style,
        lines=methods[rng.integers(len(methods))],
        line_width_px=_between(rng, *width),
        line_threshold=_between(rng, 0.012, 0.03),
        line_darkness=_between(rng, darkness - 0.2, darkness + 0.15),
        ink=(red, green, blue),
    )


def _ink(rng: np.random.Generator, style: CartoonStyle, held_out: bool) -> CartoonStyle:
    flat = replace(
        style,
        look="ink",
        band_mix=_between(rng, 0.3, 0.8),
        band_hardness=_between(rng, 5.0, 12.0),
        chroma_mix=_between(rng, 0.3, 0.8),
    )
    return _with_lines(rng, flat, held_out, darkness=0.8)


def _cel(rng: np.random.Generator, style: CartoonStyle, held_out: bool) -> CartoonStyle:
    shaded = replace(
        style,
        look="cel",
        cel_step=_between(rng, 3.0, 6.0),
        cel_radius_px=_between(rng, 10.0, 24.0),
        band_mix=_between(rng, 0.2, 0.6),
        band_hardness=_between(rng, 6.0, 14.0),
        chroma_mix=_between(rng, 0.5, 0.9),
    )
    return _with_lines(rng, shaded, held_out, darkness=0.6)


def _paint(rng: np.random.Generator, style: CartoonStyle, held_out: bool) -> CartoonStyle:
    del held_out
    return replace(
        style,
        band_mix=_between(rng, 0.4, 0.9),
        band_hardness=_between(rng, 3.0, 8.0),
        chroma_mix=_between(rng, 0.2, 0.7),
        softness_px=_between(rng, 0.0, 0.7),
    )


def _cgi(rng: np.random.Generator, style: CartoonStyle, held_out: bool) -> CartoonStyle:
    del held_out
    return replace(
        style,
        look="cgi",
        smoothing_scale=_between(rng, 0.45, 0.6),
        crispness=_between(rng, 0.5, 1.1),
        bloom=_between(rng, 0.1, 0.35),
        saturation=_between(rng, 1.2, 1.55),
        contrast=_between(rng, 1.05, 1.18),
        softness_px=_between(rng, 0.0, 0.5),
    )

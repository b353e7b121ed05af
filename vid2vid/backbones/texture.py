"""Noise that sticks to surfaces: what a generator makes new texture of.

A flat cartoon region tells nothing of the grain, pores or blades that a camera would see there, so a deterministic net
leaves it flat. It is given smooth noise in three octaves instead, looked up at *places* that every pixel keeps while
the source's optical flow carries it along.

Source:
    The idea of noise that moves with the scene is that of Chang et al., "How I Warped Your Noise", 2024. Departures: a
    periodic tile of band-limited noise is sampled at carried coordinates, which needs no warping of white noise.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

OCTAVES: Final = 3
"""Channels of the noise."""
TILE: Final = 256
"""Period of the noise in pixels."""
DEVIATIONS_PX: Final = (0.7, 1.4, 2.8)
"""Deviation of the Gaussian that band-limits each octave: finer noise would shimmer when sampled in between."""
LEAST_TRUST: Final = 0.2
"""Trust in the flow below which a pixel takes a new place."""
STRETCH: Final = (0.5, 2.0)
"""Least and most tile pixels between neighbours: outside, a pixel takes a new place."""
_STRIDE: Final = (97.0, 61.0)
"""How far the places of new pixels move from frame to frame, so that they repeat no older texture."""


def make_tile() -> Tensor:
    """The noise, the same for every render: `(OCTAVES, TILE + 1, TILE + 1)`, mean 0, deviation 1, first row and column
    repeated at the end.
    """
    chance = torch.Generator().manual_seed(20181124)
    white = torch.randn(OCTAVES, TILE, TILE, generator=chance)
    frequency = torch.fft.fftfreq(TILE)
    squared = frequency[:, None] ** 2 + frequency[None, :] ** 2
    bands = []
    for octave, deviation in zip(white, DEVIATIONS_PX, strict=True):
        response = torch.exp(-2.0 * (torch.pi * deviation) ** 2 * squared)
        band = torch.fft.ifft2(torch.fft.fft2(octave) * response).real
        bands.append((band - band.mean()) / band.std())
    return F.pad(torch.stack(bands)[None], (0, 1, 0, 1), mode="circular")[0]


def new_places(like: Tensor, seed: int, index: int) -> Tensor:
    """Places of pixels without a past: their own position, shifted by seed and frame.

    Args:
        like: any `(B, C, H, W)` tensor of the wanted batch, size and device.
        seed, index: of the render and of the frame.

    Returns:
        `(B, 2, H, W)` float32, x then y, in tile pixels.
    """
    batch, _, height, width = like.shape
    shift = [(stride * index + 37.0 * seed) % TILE for stride in _STRIDE]
    x = torch.arange(width, device=like.device, dtype=torch.float32) + shift[0]
    y = torch.arange(height, device=like.device, dtype=torch.float32) + shift[1]
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1]).expand(batch, -1, -1, -1)


def carried_places(moved: Tensor, trust: Tensor, fresh: Tensor) -> Tensor:
    """Places after one frame: the moved ones where the flow is trusted and has not stretched them, else fresh ones.

    Args:
        moved: `(B, 2, H, W)` the last frame's places, sampled along the flow.
        trust: `(B, 1, H, W)` in [0, 1].
        fresh: `(B, 2, H, W)` from `new_places`.

    Returns:
        `(B, 2, H, W)`.
    """
    step_x = F.pad(moved[:, :1, :, 1:] - moved[:, :1, :, :-1], (0, 1, 0, 0), mode="replicate")
    step_y = F.pad(moved[:, 1:, 1:] - moved[:, 1:, :-1], (0, 0, 0, 1), mode="replicate")
    steps = torch.cat((step_x, step_y), 1)
    sound = ((steps > STRETCH[0]) & (steps < STRETCH[1])).all(1, keepdim=True) & (trust > LEAST_TRUST)
    return torch.where(sound, moved, fresh)


def look_up(tile: Tensor, places: Tensor) -> Tensor:
    """Noise at places, bilinearly.

    Args:
        tile: from `make_tile`, on the places' device.
        places: `(B, 2, H, W)` in tile pixels, any value.

    Returns:
        `(B, OCTAVES, H, W)`.
    """
    grid = (places.remainder(TILE) * (2.0 / TILE) - 1.0).permute(0, 2, 3, 1)
    return F.grid_sample(tile.expand(places.shape[0], -1, -1, -1), grid, mode="bilinear", align_corners=True)

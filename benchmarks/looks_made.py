"""Looks made by programs: the truth that a few-shot fit is measured against.

Each turns a clip `(T, H, W, 3)` uint8 sRGB into the same clip in another look, frame by frame, so that the look of
every frame is known, although a fit is shown a few of them only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from vid2vid.types import Picture

LEVELS: Final = 5
DOT_PX: Final = 6


def comic(picture: Picture) -> Picture:
    """Posterised colours, ink lines, and shadows in halftone dots that stay on the screen."""
    smooth = cv2.bilateralFilter(picture, 7, 40, 5)
    flat = np.round(smooth.astype(np.float32) / 255.0 * (LEVELS - 1)) / (LEVELS - 1)
    hsv = cv2.cvtColor(flat, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.5, 0.0, 1.0)
    flat = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    grey = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]].astype(np.float32)
    angle = 0.5
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    dots = (np.cos(2 * np.pi * u / DOT_PX) + np.cos(2 * np.pi * v / DOT_PX)) / 4 + 0.5
    shade = np.clip((0.45 - grey) / 0.45, 0.0, 1.0)
    dark = np.clip((shade - dots) * 6.0 + 0.5, 0.0, 1.0) * (shade > 0.05)
    flat = flat * (1.0 - 0.55 * dark[..., None])
    near, far = cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.GaussianBlur(grey, (0, 0), 1.6)
    ink = np.clip(1.0 + np.tanh((near - 0.98 * far - 0.008) * 60.0), 0.0, 1.0)
    return np.asarray(np.clip(flat * ink[..., None] * 255.0, 0, 255).round(), np.uint8)


def night(picture: Picture) -> Picture:
    """Day turned into night: dark and blue, bright smooth places lit like windows with a glow around them."""
    linear = (picture.astype(np.float32) / 255.0) ** 2.2
    grey = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    dark = 0.10 * (0.4 * linear + 0.6 * grey[..., None]) * np.array([0.55, 0.75, 1.5], np.float32)
    local = cv2.GaussianBlur(grey, (0, 0), 2.0)
    lit = np.clip((local - 0.55) / 0.15, 0.0, 1.0)
    warm = lit[..., None] * np.array([1.0, 0.72, 0.32], np.float32)
    glow = cv2.GaussianBlur(warm, (0, 0), 8.0)
    scene = np.clip(dark + 0.8 * warm + 0.35 * glow, 0.0, 1.0)
    return np.asarray((scene ** (1 / 2.2) * 255.0).round(), np.uint8)


def charcoal(picture: Picture) -> Picture:
    """Grey strokes on warm paper: shading hatched along two directions, dark contours, grain fixed to the sheet."""
    grey = cv2.cvtColor(cv2.bilateralFilter(picture, 5, 30, 4), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    height, width = grey.shape
    grain = np.random.default_rng(5).normal(size=(height, width)).astype(np.float32)
    hatch = cv2.filter2D(grain, -1, np.eye(15, dtype=np.float32) / 4.0)
    crossed = cv2.filter2D(grain[::-1], -1, np.fliplr(np.eye(11, dtype=np.float32)) / 3.5)
    tone = np.clip(grey * 1.1 + 0.16 * hatch * (grey < 0.75) + 0.14 * crossed * (grey < 0.4), 0.0, 1.0)
    edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    tone *= np.exp(-0.9 * cv2.GaussianBlur(edges, (0, 0), 0.8))
    paper = np.array([0.96, 0.93, 0.86], np.float32) + 0.02 * cv2.GaussianBlur(grain, (0, 0), 0.8)[..., None]
    ink = np.array([0.13, 0.12, 0.12], np.float32)
    page = ink + (paper - ink) * tone[..., None]
    return np.asarray(np.clip(page * 255.0, 0, 255).round(), np.uint8)


LOOKS: Final[Mapping[str, Callable[[Picture], Picture]]] = {"comic": comic, "night": night, "charcoal": charcoal}

"""What the nets say of their small inputs lands in the picture's pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.stick_figures import HEIGHT, STANDING, drawn
from vid2vid.conditions.ink import ink_map
from vid2vid.conditions.stick_reading import Sighting, find_heads, read_joints, to_grey


def peak(maps: torch.Tensor, x: float, y: float) -> None:
    """A Gaussian of logits at a place in the input's pixels."""
    rows, columns = maps.shape
    down, across = torch.arange(rows)[:, None] * 2 + 0.5 - y, torch.arange(columns)[None] * 2 + 0.5 - x
    chance = torch.exp(-(down**2 + across**2) / 18).clamp(1e-4, 0.99)
    maps += torch.logit(chance) - torch.logit(torch.tensor(1e-4))


@pytest.mark.parametrize("size", [(320, 180), (960, 540)])
def test_heads_are_found_in_the_pictures_pixels(size: tuple[int, int]) -> None:
    scale = 192 / size[0]

    def finder(ink: torch.Tensor) -> torch.Tensor:
        output = torch.full((len(ink), 3, ink.shape[2] // 2, ink.shape[3] // 2), float(torch.logit(torch.tensor(1e-4))))
        for picture in range(len(ink)):
            peak(output[picture, 0], 60.0 + 10 * picture, 40.0)
        output[:, 1], output[:, 2] = np.log(1.5), np.log(0.5)
        return output

    found = find_heads([np.full(size[::-1], 220, np.uint8)] * 2, finder, 0.3)
    for picture, heads in enumerate(found):
        assert len(heads) == 1
        assert heads[0].x == pytest.approx((60.5 + 10 * picture) / scale - 0.5, abs=0.5 / scale)
        assert heads[0].y == pytest.approx(40.5 / scale - 0.5, abs=0.5 / scale)
        assert heads[0].height == pytest.approx(72 / scale)
        assert heads[0].radius == pytest.approx(2 / scale)


def test_joints_are_read_around_each_head() -> None:
    shown = []

    def reader(crops: torch.Tensor) -> torch.Tensor:
        shown.append(crops)
        output = torch.full((len(crops), 10, 56, 56), float(torch.logit(torch.tensor(1e-4))))
        for joint in range(10):
            peak(output[0, joint], 55.5 + 3 * joint, 55.5 - 2 * joint)
            peak(output[1, joint], 55.5 - 3 * joint, 55.5)
        return output

    figure = STANDING + np.array([160, 150], np.float32)
    ink = ink_map(to_grey(drawn([figure])), HEIGHT)
    x, y = figure[0]
    joints, sureness = read_joints([ink], [Sighting(0, x, y, HEIGHT), Sighting(0, 5.0, 5.0, HEIGHT / 2)], reader)
    np.testing.assert_allclose(joints[:, 0], [(x, y), (5, 5)])
    steps = np.arange(10)
    np.testing.assert_allclose(joints[0, 1:, 0], x + 3 * steps * HEIGHT / 48, atol=1.0)
    np.testing.assert_allclose(joints[0, 1:, 1], y - 2 * steps * HEIGHT / 48, atol=1.0)
    np.testing.assert_allclose(joints[1, 1:, 0], 5 - 3 * steps * HEIGHT / 96, atol=0.5)
    assert (sureness[:, 1:] > 0.8).all()
    crop = shown[0][0, 0].numpy()
    hip = 55.5 + (figure[2] - figure[0]) * 48 / HEIGHT
    assert crop[round(float(hip[1])) - 3, round(float(hip[0]))] > 0.5
    assert crop[:, :20].max() < 0.1

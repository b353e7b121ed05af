"""Noise that sticks to surfaces."""

from __future__ import annotations

import torch

from vid2vid.backbones.generator import sample_at
from vid2vid.backbones.texture import OCTAVES, TILE, carried_places, look_up, make_tile, new_places


def test_tile_is_normalised_and_periodic() -> None:
    tile = make_tile()
    assert tile.shape == (OCTAVES, TILE + 1, TILE + 1)
    inside = tile[:, :TILE, :TILE]
    assert torch.allclose(inside.mean((1, 2)), torch.zeros(OCTAVES), atol=1e-5)
    assert torch.allclose(inside.std((1, 2)), torch.ones(OCTAVES), atol=1e-3)
    assert torch.equal(tile[:, 0], tile[:, TILE]) and torch.equal(tile[:, :, 0], tile[:, :, TILE])


def test_lookup_at_whole_places_is_exact_and_wraps() -> None:
    tile = make_tile()
    places = torch.tensor([[[[3.0, TILE + 3.0, -TILE + 3.0]], [[7.0, 7.0, TILE + 7.0]]]])
    found = look_up(tile, places)
    assert torch.allclose(found, tile[:, 7, 3][None, :, None, None].expand_as(found), atol=1e-4)


def test_texture_moves_with_the_flow() -> None:
    """A surface that moves by (2, -1) a frame keeps its texture, shifted by as much."""
    tile, like = make_tile(), torch.zeros(1, 3, 40, 48)
    flow = torch.tensor([-2.0, 1.0])[None, :, None, None].expand(1, 2, 40, 48)
    places = new_places(like, seed=0, index=0)
    before = look_up(tile, places)
    moved = carried_places(sample_at(places, flow), torch.ones(1, 1, 40, 48), new_places(like, 0, 1))
    after = look_up(tile, moved)
    assert torch.allclose(after[..., 0:38, 3:47], before[..., 1:39, 1:45], atol=1e-3)
    fixed = look_up(tile, places)
    assert not torch.allclose(fixed[..., 0:38, 3:47], before[..., 1:39, 1:45], atol=0.5)


def test_untrusted_and_stretched_pixels_take_new_places() -> None:
    like = torch.zeros(1, 3, 8, 8)
    fresh = new_places(like, 0, 5)
    moved = new_places(like, 0, 4)
    trust = torch.ones(1, 1, 8, 8)
    trust[..., 2, 3] = 0.1
    result = carried_places(moved, trust, fresh)
    assert torch.equal(result[..., 2, 3], fresh[..., 2, 3])
    assert torch.equal(result[..., 5, 5], moved[..., 5, 5])
    stretched = carried_places(moved * 3.0, torch.ones(1, 1, 8, 8), fresh)
    assert torch.equal(stretched, fresh)


def test_new_places_differ_by_frame_and_seed() -> None:
    like = torch.zeros(1, 3, 4, 4)
    assert not torch.equal(new_places(like, 0, 1), new_places(like, 0, 2))
    assert not torch.equal(new_places(like, 1, 1), new_places(like, 2, 1))
    assert torch.equal(new_places(like, 1, 1), new_places(like, 1, 1))

"""What is timed as a peer must be the peer: published counts of parameters and operations."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers import PEERS, Peer

PUBLISHED = {
    "pix2pix unet_256": (54.41, 6.05),
    "CycleGAN resnet_9blocks": (11.38, 49.55),
    "pix2pixHD global": (182.4, 54.4),
    "First Order Motion Model": (59.8, 54.9),
    "fast neural style": (1.68, 10.1),
    "faceswap original": (75.86, 1.90),
    "AnimeGANv2": (2.14, 26.3),
    "vid2vid composite": (364.7, 414.5),
}
"""Millions of parameters and thousands of millions of multiplications at 256 (faceswap: 64) pixels."""


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peer_has_its_published_size(peer: Peer) -> None:
    side = peer.native_size or 256
    with torch.device("meta"):
        network = peer.build().eval()
        inputs = [torch.empty(1, channels, side, side) for channels in peer.inputs]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            made = network(*inputs)
    parameters, gmacs = PUBLISHED[peer.name]
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(parameters, rel=2e-3)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, rel=5e-3)
    assert made.shape == (1, 3, side, side)

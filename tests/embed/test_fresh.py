"""Freshly initialised networks, fused, with and without the statistics of a first pass."""

from __future__ import annotations

import pytest
import torch

from lib.core.streams import Stream
from lib.embed.fresh import fresh_networks
from lib.engine.family import Family

pytestmark = pytest.mark.usefixtures("one_thread")


def test_fresh_networks_are_initialised_and_fused_like_any_other(toy):
    flat = fresh_networks("ResNet8", toy.images, 2, Stream("a"))
    assert flat.equal(fresh_networks("ResNet8", toy.images, 2, Stream("a")))
    assert flat[:1].equal(fresh_networks("ResNet8", toy.images, 1, Stream("a")))
    assert not flat[0].equal(flat[1])
    family = Family.of("ResNet8", 1, 8, 4)
    state = family.layout.unflatten(flat)
    assert all((part == 0).all() for name, part in state.items() if name == "conv.bias")


def test_calibrated_networks_have_the_statistics_of_a_first_pass(toy):
    flat = fresh_networks("ResNet8", toy.images, 1, Stream("a"), calibrated=True)
    family = Family.of("ResNet8", 1, 8, 4)
    with torch.no_grad():
        family.module.load_state_dict(
            {name: part[0] for name, part in family.layout.unflatten(flat).items()}
        )
        seen = family.module.conv(toy.images.x)
    count = seen.numel() / seen.shape[1]
    torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(8), atol=1e-4, rtol=0)
    wanted = torch.full((8,), 1 - 1 / count)  # running variances are unbiased ones
    torch.testing.assert_close(seen.var((0, 2, 3), correction=0), wanted, atol=1e-3, rtol=0)
    plain = fresh_networks("VanillaCNN", toy.images, 1, Stream("a"))
    assert plain.equal(fresh_networks("VanillaCNN", toy.images, 1, Stream("a"), calibrated=True))

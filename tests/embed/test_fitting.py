"""Last layers and moves of a trunk, against least squares."""

from __future__ import annotations

import pytest
import torch

from lib.embed.fitting import RIDGE, bend, fit_last, weigh

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_last_layer_that_gives_the_logits_is_found():
    features, last = noise(1, 60, 7), noise(3, 7, 4, seed=1)
    found = fit_last(features, features @ last)
    assert torch.allclose(found, last, atol=2e-3)
    each = fit_last(features.expand(3, -1, -1) + 0, features @ last)
    assert torch.allclose(each, found, atol=1e-4)


def test_a_step_of_trunk_and_last_layer_is_that_of_least_squares():
    features, tangents = noise(60, 4, 1)[..., 0], noise(5, 60, 3, seed=1)
    features[:, -1] = 1
    wanted = noise(2, 60, 4, seed=2)
    last = fit_last(features[None], wanted)
    found = bend(tangents, features, last, wanted, iterations=30)
    ridge = (RIDGE * 60 * features.square().mean()).sqrt() * torch.eye(4)
    for network in range(2):
        root = weigh(wanted)[network].sqrt()
        effects = tangents @ last[network, :-1]  # M, B, K
        rows = [(root * effect).T.flatten() for effect in effects]
        rows = torch.stack([torch.cat([row, torch.zeros(16)]) for row in rows], 1)
        layers = torch.block_diag(*(root[:, k, None] * features for k in range(4)))
        layers = torch.cat([layers, torch.block_diag(ridge, ridge, ridge, ridge)])
        rest = (root * (wanted[network] - features @ last[network])).T.flatten()
        solved = torch.linalg.lstsq(
            torch.cat([rows, layers], 1), torch.cat([rest, torch.zeros(16)])[:, None]
        )
        assert torch.allclose(found[network], solved.solution[:5, 0], atol=1e-3)

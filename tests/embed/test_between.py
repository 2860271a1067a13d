"""The points between the extremes."""

from __future__ import annotations

import pytest
import torch

from lib.embed.between import between, mix

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=rng(seed))


@pytest.mark.parametrize(("count", "wanted"), [(2, []), (3, [1 / 2]), (4, [1 / 3, 2 / 3])])
def test_inner_architectures_lie_evenly_between_the_extremes(count, wanted):
    assert between(count) == wanted


def test_a_mix_at_its_ends_is_what_is_mixed():
    first, last = logits(16), logits(16, seed=1)
    assert mix(first, last, 0.0).equal(first) and mix(first, last, 1.0).equal(last)
    assert torch.allclose(mix(first, last, 0.25), 0.75 * first + 0.25 * last)

"""Losses against torch's own, and what their units leave out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lib.config import Embedding, LossWeights
from lib.embed import losses

ONE = Embedding(
    arm="readout",
    latent=140,
    probes=48,
    steps=24,
    networks=3,
    batch_size=24,
    learning_rate=1e-3,
    temperature=0.5,
    temperature_unit="spread",
    versions=2,
    weight_noise=0.2,
    select_every=12,
    weights=LossWeights(own=1, teacher=0, label=0, interpolation=0),
)

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=rng(seed))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_torchs_kl_divergence_times_t_squared(shared, temperature):
    outputs, targets = logits(3, 7, 5), logits(7, 5, seed=1) if shared else logits(3, 7, 5, seed=1)
    found = losses.distillation(outputs, targets, temperature)
    for i in range(3):
        wanted = F.kl_div(
            F.log_softmax(outputs[i] / temperature, -1),
            F.log_softmax((targets if shared else targets[i]) / temperature, -1),
            log_target=True,
            reduction="batchmean",
        )
        assert found[i].item() == pytest.approx(temperature**2 * wanted.item(), rel=1e-4)


def test_distillation_of_a_worked_example():
    targets = torch.tensor([[[2 * math.log(3), 0.0]]])  # 3 : 1 at temperature 2
    found = losses.distillation(torch.zeros(1, 1, 2), targets, 2.0)
    assert found.item() == pytest.approx(4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)))
    assert losses.distillation(targets, targets + 5, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_label_loss_is_torchs_cross_entropy():
    outputs, y = logits(3, 7, 5), torch.randint(5, (7,), generator=rng())
    wanted = [F.cross_entropy(one, y).item() for one in outputs]
    assert losses.labels(outputs, y).tolist() == pytest.approx(wanted)


def test_in_units_of_spread_the_scale_of_a_network_does_not_count():
    outputs, targets = noise(2, 9, 4), noise(2, 9, 4, seed=1)
    factor = torch.tensor([0.01, 30.0])[:, None, None]
    found = losses.own_loss(outputs, targets, ONE)
    assert torch.allclose(losses.own_loss(factor * outputs, factor * targets, ONE), found)
    assert losses.own_loss(targets + 3, targets, ONE).abs().max() < 1e-6


def test_in_units_of_logits_the_loss_is_that_of_the_paper():
    outputs, targets = noise(2, 9, 4), noise(2, 9, 4, seed=1)
    paper = Embedding(temperature=4.0)
    wanted = losses.distillation(outputs, targets, 4.0)
    assert losses.own_loss(outputs, targets, paper).equal(wanted)

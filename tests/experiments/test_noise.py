"""Training networks with noise: as much as leaves them as accurate as others."""

from __future__ import annotations

import pytest
import torch

from lib.engine import ensemble
from lib.experiments.noise import LEVELS, Copies, noise_level

pytestmark = pytest.mark.usefixtures("one_thread")


def test_noise_is_the_most_that_leaves_networks_as_accurate(toy):
    population = toy.zoo["train"]["ResNet8"]
    chosen, noise = (
        torch.arange(3),
        torch.randn(population.flat.shape, generator=torch.Generator().manual_seed(0)),
    )

    def score(flat: torch.Tensor) -> float:
        outputs = population.family.predict(flat, toy.validation.x)
        return ensemble.accuracy(outputs, toy.validation.y).mean().item()

    def level(decoded: torch.Tensor) -> float:
        return noise_level(population, chosen, noise, decoded, toy.validation)

    def noisy(amount: float) -> torch.Tensor:
        return population.flat + amount * population.spread() * noise

    most = level(noisy(0.4))
    place = LEVELS.index(most)
    assert score(noisy(most)) >= score(noisy(0.4)) > score(noisy(LEVELS[place + 1]))
    # Of networks that are as good as those without noise: half a point less at most.
    assert level(population.flat) < most
    assert score(noisy(level(population.flat))) >= score(population.flat) - 0.005


def test_copies_are_training_networks_with_that_noise(toy):
    population = toy.zoo["train"]["ResNet8"]
    rng = torch.Generator().manual_seed(5)
    copies = Copies.draw(population, 2, population.flat, toy.validation, rng)
    assert len(copies.names) == 2 and copies.level in LEVELS
    rows = [population.names.index(name) for name in copies.names]
    assert torch.equal(copies.before, population.flat[rows])
    size = ((copies.after - copies.before) / population.spread()).std()
    assert size.item() == pytest.approx(copies.level, rel=0.1)
    rng.manual_seed(5)
    assert len(Copies.draw(population, 99, population.flat, toy.validation, rng).names) == 3

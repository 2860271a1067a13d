"""Training networks with noise, as much as leaves them as accurate as others: known copies."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.zoo.population import Population

LEVELS = [10 ** (k / 10 - 2) for k in range(26)]  # of noise: 0.01 to 3.2
SLACK = 0.005  # accuracy that noise may cost at most, see `noise_level`


@dataclass(frozen=True)
class Copies:
    """Training networks drawn at random, and the same with noise.

    names: ids of the networks; before, after: [n, P] without noise and with it; level: how much,
    in units of the spread of each layer.
    """

    names: list[str]
    before: Tensor
    after: Tensor
    level: float

    @classmethod
    def draw(
        cls,
        population: Population,
        count: int,
        others: Tensor,
        validation: ImageSplit,
        rng: torch.Generator,
    ) -> Copies:
        """`count` training networks, or all, with as much noise as `noise_level` says.

        Args:
            population: training networks to draw from.
            count: how many.
            others: networks [n, P] that they are to be as accurate as.
            validation: the images that tell.
            rng: draws the networks, then their noise.
        """
        chosen = torch.randperm(len(population.flat), generator=rng)[:count]
        networks = population.flat[chosen]
        noise = torch.randn(networks.shape, generator=rng).to(others.device)
        level = noise_level(population, chosen, noise, others, validation)
        names = [population.names[i] for i in chosen.tolist()]
        return cls(names, networks, networks + level * population.spread() * noise, level)


def noise_level(
    population: Population,
    chosen: Tensor,
    noise: Tensor,
    others: Tensor,
    validation: ImageSplit,
) -> float:
    """How much noise, in units of each layer's spread, keeps networks as accurate as others.

    The largest of `LEVELS` up to which the training networks `chosen` have, on average over
    validation images, at least the accuracy of the others [n, P]. Where these are as good as
    training networks without noise or better, noise may cost half a point: no noise at all says
    nothing.
    """

    def score(flat: Tensor) -> float:
        outputs = population.family.predict(flat, validation.x)
        return ensemble.accuracy(outputs, validation.y).mean().item()

    networks, spread = population.flat[chosen], population.spread()
    wanted = min(score(others), score(networks) - SLACK)
    good = takewhile(lambda level: score(networks + level * spread * noise) >= wanted, LEVELS)
    return max(good, default=LEVELS[0])

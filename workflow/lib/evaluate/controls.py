"""What a decoded network has to be better than: controls that know the training networks only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lib.core.repro import generator
from lib.embed import losses
from lib.engine import ensemble
from lib.engine.descent import descend
from lib.engine.family import Family
from lib.zoo.population import Population


def nearest_weights(train: Population, flat: Tensor) -> Tensor:
    """For every network [n, P] the training network [n, P] at the smallest Euclidean distance."""
    return train.flat[torch.cdist(flat, train.flat).argmin(1)]


def nearest_agreement(train: Population, known: Tensor, outputs: Tensor) -> Tensor:
    """For every network the training network [n, P] that agrees with it on most training images.

    Well-trained networks often agree on all of them; of those, the one whose outputs are closest
    (KL at temperature 4) is taken. `known` [m, images, K] and `outputs` [n, images, K] are logits
    on training images.
    """
    chosen = []
    for wanted in outputs:
        agreed = ensemble.agreement(known, wanted)
        distance = losses.distillation(known, wanted, 4.0)
        distance[agreed < agreed.max()] = torch.inf
        chosen.append(distance.argmin())
    return train.flat[torch.stack(chosen)]


def noisy(train: Population, count: int, level: float, names: tuple) -> Tensor:
    """Training networks [n, P] drawn at random, with noise of `level` times each layer's spread."""
    rng = generator(*names, "noise")
    rows = torch.randint(len(train.flat), (count,), generator=rng)
    flat = train.flat[rows].clone()
    noise = torch.randn(flat.shape, generator=rng).to(flat.device)
    for entry in train.family.layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        spread = (
            train.flat[:, place].std() if len(train.flat) > 1 else train.flat[:, place].abs().mean()
        )
        flat[:, place] += level * spread * noise[:, place]
    return flat


def distill(
    family: Family,
    start: Tensor,
    names: tuple,
    steps: int,
    rate: float,
    loss: Callable[[Callable[[Tensor], Tensor], torch.Generator], Tensor],
    every: int = 0,
    watch: Callable[[int, Tensor], None] | None = None,
    pace: Callable[[int], float] = lambda step: 1.0,
) -> Tensor:
    """Train networks by a loss on their outputs.

    Args:
        family: the architecture.
        start: networks [n, P] to start from, such as `fresh_networks`.
        names: names of the random streams.
        steps: gradient steps (Adam).
        rate: learning rate.
        loss: from a function that runs the networks on images and a generator to losses [n].
        every: call `watch(step, flat)` every so many steps.
        watch: sees the networks while they train.
        pace: factor on the learning rate at a (0-based) step.

    Returns:
        Networks [n, P].
    """
    return descend(
        start,
        names,
        steps,
        rate,
        lambda flat, rng: loss(lambda x: family.run(flat, x), rng),
        f"distilling {family.architecture}",
        lambda optimizer: LambdaLR(optimizer, pace),
        every,
        watch,
    )

"""What a decoded network has to be better than: networks that no latent space made.

They are looked up among the training networks, made from them without an embedder, or trained from
scratch. Shapes: n networks that are asked for, m training networks, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arms.readout import assemble, beheaded
from lib.embed.fitting import fit_last
from lib.embed.losses import spread_of
from lib.embed.refine import Run
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


def readout(train: Population, images: ImageSplit, outputs: Tensor) -> Tensor:
    """The best training network with a last layer fitted to each network asked for: [n, P].

    The fit is in closed form, to logits `outputs` [n, images, K] on training images.

    Raises:
        EmbedderError: the last layer of the architecture is not a linear one with a bias.
    """
    body, place = beheaded(train.family)
    trunk = train.best()[None, place < body.layout.size]
    features = nn.functional.pad(body.predict(trunk, images.x), (0, 1), value=1.0)
    spread = spread_of(outputs)
    centred = (outputs - outputs.mean(-1, keepdim=True)) / spread
    return assemble(trunk, spread * fit_last(features, centred), place)


def pca(known: Tensor, flat: Tensor, components: int) -> Tensor:
    """Networks [n, P] projected on principal components of other networks [m, P]."""
    mean = known.mean(0)
    axes = torch.linalg.svd(known - mean, full_matrices=False).Vh[:components]
    return mean + (flat - mean) @ axes.T @ axes


def noisy(train: Population, count: int, level: float, stream: Stream) -> Tensor:
    """Training networks [n, P] drawn at random, with noise of `level` times each layer's spread."""
    rng = stream.of("noise").torch()
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
    loss: Callable[[Run, torch.Generator], Tensor],
    *,
    stream: Stream,
    steps: int,
    rate: float,
    pace: Callable[[int], float] = lambda step: 1.0,
    every: int = 0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Train networks by a loss on their outputs.

    Args:
        family: their architecture.
        start: networks [n, P] to start from, such as `fresh_networks`.
        loss: from a function that runs the networks on images and a generator to losses [n].
        stream: each step draws from one below it.
        steps: gradient steps (Adam).
        rate: learning rate.
        pace: factor on the learning rate at a (0-based) step.
        every: call `watch(step, flat)` every so many steps.
        watch: sees the networks while they train.

    Returns:
        Networks [n, P].
    """
    return descend(
        start,
        lambda flat, rng: loss(lambda x: family.run(flat, x), rng),
        stream=stream,
        steps=steps,
        rate=rate,
        what=f"distilling {family.architecture}",
        schedule=lambda optimizer: LambdaLR(optimizer, pace),
        every=every,
        watch=watch,
    )

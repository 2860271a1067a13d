"""Optimisation in the space of one architecture: from a poor network's latent, and from anywhere.

As `lib.explore.optimization`, without a head to satisfy: the loss is 0.9 KL to the teacher (not
times T^2) + 0.1 cross entropy to the labels (paper, Sec. IV-D).
"""

from __future__ import annotations

import math

import pandas as pd
import torch
from torch import Tensor

from lib.config import Controls, SingleExploration
from lib.core.repro import generator
from lib.data.images import ImageSplit
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder
from lib.embed.refine import refine
from lib.evaluate.controls import distill
from lib.explore.optimization import Best, teacher_loss
from lib.zoo.population import Population

TEMPERATURE = 4.0  # of distillation from the teacher, whatever that of the embedder
COLUMNS = ("start", "method", "step", "validation_accuracy", "test_accuracy", "seed")


def starts_of(
    embedder: Embedder, train: Population, test: Population, count: int, names: tuple
) -> tuple[list[str], Tensor]:
    """Where optimisation starts: names and latents [2 count, D].

    The test networks of lowest validation accuracy, and `random-<i>`: latents drawn from the normal
    distribution that has the training latents' mean and standard deviation in each number.
    """
    name, poor = test.family.architecture, test.scores.argsort(stable=True)[:count]
    with torch.no_grad():
        known = embedder.arm.encode(name, train.flat)
        latents = embedder.arm.encode(name, test.flat[poor])
    draws = torch.randn(count, known.shape[1], generator=generator(*names, "random"))
    random = known.mean(0) + known.std(0, correction=0) * draws.to(known.device)
    ids = [test.names[i] for i in poor.tolist()] + [f"random-{i}" for i in range(count)]
    return ids, torch.cat([latents, random])


def optimize(
    embedder: Embedder,
    seed: int,
    names: tuple,
    cfg: SingleExploration,
    control: Controls,
    train: Population,
    test: Population,
    images: ImageSplit,
    validation: ImageSplit,
    test_images: ImageSplit,
    teacher: Tensor,
) -> pd.DataFrame:
    """The table `singlearch/latent_optimization.csv` of one embedder.

    Methods: `latent`, the decoder frozen; `weights`, the weights of the networks decoded from the
    same latents, trained on; `distilled`, fresh networks trained from scratch. All take the same
    loss, images and number of steps, at a rate that falls to zero. `best_of_zoo`: the
    training network of best validation accuracy. Test accuracy is given at the step of best
    validation accuracy alone.
    """
    name, arm, family = train.family.architecture, embedder.arm, train.family
    streams = (*names, "optimization")
    ids, latents = starts_of(embedder, train, test, cfg.optimization_starts, streams)
    loss = teacher_loss(cfg.optimization_batch, images, teacher, TEMPERATURE)
    steps, every = cfg.optimization_steps, cfg.optimization_every
    with torch.no_grad():
        decoded = arm.decode(name, latents)
    fresh = fresh_networks(name, images, cfg.optimization_starts, streams, calibrated=True)
    found = {
        method: Best(train, validation)
        for method in ("latent", "weights", "distilled", "best_of_zoo")
    }

    def pace(step: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * step / steps))

    def watch(step: int, moved: Tensor) -> None:
        with torch.no_grad():
            found["latent"].see(step, arm.decode(name, moved))

    refine(arm, name, latents, streams, steps, cfg.optimization_rate, loss, every, watch)
    for method, start in (("weights", decoded), ("distilled", fresh)):
        rate, see = control.distill_rate, found[method].see
        distill(family, start, streams, steps, rate, loss, every, see, pace)
    found["best_of_zoo"].see(0, train.best()[None])
    labels = {
        "latent": ids,
        "weights": ids,
        "distilled": [f"fresh-{i}" for i in range(len(fresh))],
        "best_of_zoo": [train.names[train.scores.argmax()]],
    }
    rows = [
        (start, method, step, score, tested, seed)
        for method, best in found.items()
        for _, _, step, score, tested, start, _ in best.table(
            method, labels[method], seed, test_images
        )
    ]
    return pd.DataFrame(rows, columns=COLUMNS)

"""Latent-space optimisation: move a latent, decoder frozen, until its network is good.

Loss (paper, Sec. IV-D): 0.9 KL to the teacher (not times T^2) + 0.1 cross entropy to the labels +
cross entropy of the architecture head to the required architecture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config import Controls, Exploration
from lib.core.repro import generator
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import Arm
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.engine.descent import descend
from lib.evaluate.controls import distill
from lib.zoo.population import Population

COLUMNS = (
    "architecture",
    "method",
    "step",
    "validation_accuracy",
    "test_accuracy",
    "start",
    "seed",
)
KL_WEIGHT, LABEL_WEIGHT = 0.9, 0.1


class Best:
    """Validation accuracies [n] while optimising; keeps each one's best network so far."""

    def __init__(self, population: Population, validation: ImageSplit) -> None:
        self.population, self.validation = population, validation
        self.rows: list[tuple[int, list[float]]] = []
        self.score, self.step = torch.empty(0), torch.empty(0)
        self.flat = torch.empty(0)

    def see(self, step: int, flat: Tensor, allowed: Tensor | None = None) -> None:
        """Validate networks [n, P]; those not `allowed` cannot become the best."""
        outputs = self.population.family.predict(flat, self.validation.x)
        score = ensemble.accuracy(outputs, self.validation.y)
        self.rows.append((step, score.tolist()))
        if allowed is not None:
            score = torch.where(allowed, score, -torch.ones_like(score))
        if not len(self.flat):
            self.score, self.step = score, torch.full_like(score, step)
            self.flat = flat.clone()
            return
        better = score > self.score
        self.score, self.step = (
            torch.where(better, score, self.score),
            torch.where(better, torch.full_like(self.step, step), self.step),
        )
        self.flat[better] = flat[better]

    def table(self, method: str, starts: list[str], seed: int, test: ImageSplit) -> list[tuple]:
        """Rows of the table; a run that never became allowed has no test accuracy: it failed."""
        outputs = self.population.family.predict(self.flat, test.x)
        accuracies = ensemble.accuracy(outputs, test.y)
        name, rows = self.population.family.architecture, []
        for step, scores in self.rows:
            for i, start in enumerate(starts):
                chosen = step == self.step[i] and self.score[i] >= 0
                rows.append(
                    (
                        name,
                        method,
                        step,
                        scores[i],
                        accuracies[i].item() if chosen else math.nan,
                        start,
                        seed,
                    )
                )
        return rows


def teacher_loss(
    batch: int, images: ImageSplit, teacher: Tensor, temperature: float
) -> Callable[[Callable[[Tensor], Tensor], torch.Generator], Tensor]:
    """The loss of networks pulled to a teacher, from a function that runs them and a generator.

    0.9 KL to the teacher's logits [images, K] (not times T^2) + 0.1 cross entropy to the labels,
    on `batch` training images drawn anew each time: [n].
    """

    def loss(run: Callable[[Tensor], Tensor], rng: torch.Generator) -> Tensor:
        chosen = torch.randint(len(images.y), (batch,), generator=rng)
        outputs = run(images.x[chosen])
        pull = losses.distillation(outputs, teacher[chosen], temperature) / temperature**2
        return KL_WEIGHT * pull + LABEL_WEIGHT * losses.labels(outputs, images.y[chosen])

    return loss


def optimize(
    embedder: Embedder,
    seed: int,
    study_seed: int,
    cfg: Exploration,
    control: Controls,
    train: Mapping[str, Population],
    images: ImageSplit,
    validation: ImageSplit,
    test: ImageSplit,
    teacher: Tensor,
) -> pd.DataFrame:
    """The table `latent_optimization.csv` of one embedder.

    For every required architecture the same starting networks, drawn from all training networks.
    Methods: `latent`; `distilled`, fresh networks trained from scratch with the same loss, number
    of steps and images; `best_of_zoo`, the training network of best validation accuracy.
    """
    names, arm, rows = list(embedder.architectures), embedder.arm, []
    batch_loss = teacher_loss(cfg.optimization_batch, images, teacher, arm.cfg.temperature)
    starts, begin = _starts(embedder, train, cfg, ("optimization", study_seed, seed))
    for wanted, name in enumerate(names):
        population, streams = train[name], ("optimization", study_seed, seed, name)

        best = Best(population, validation)
        _move(arm, begin, wanted, batch_loss, best, cfg, streams)
        rows += best.table("latent", starts, seed, test)

        fresh = Best(population, validation)
        distill(
            population.family,
            fresh_networks(name, images, len(starts), streams),
            streams,
            cfg.optimization_steps,
            control.distill_rate,
            batch_loss,
            cfg.optimization_every,
            fresh.see,
        )
        rows += fresh.table("distilled", [f"fresh-{i}" for i in range(len(starts))], seed, test)
        zoo = Best(population, validation)
        zoo.see(0, population.best()[None])
        rows += zoo.table("best_of_zoo", [population.names[population.scores.argmax()]], seed, test)
    return pd.DataFrame(rows, columns=COLUMNS)


def _move(
    arm: Arm,
    begin: Tensor,
    wanted: int,
    batch_loss: Callable[[Callable[[Tensor], Tensor], torch.Generator], Tensor],
    best: Best,
    cfg: Exploration,
    streams: tuple,
) -> None:
    """Move latents towards networks of the `wanted`-th architecture; `best` sees them."""
    family = best.population.family
    name, required = family.architecture, torch.full((len(begin),), wanted, device=begin.device)

    def loss(latent: Tensor, rng: torch.Generator) -> Tensor:
        flat = arm.decode(name, latent)
        head = F.cross_entropy(arm.classify(latent), required, reduction="none")
        return batch_loss(lambda x: family.run(flat, x), rng) + head

    @torch.no_grad()
    def watch(step: int, latent: Tensor) -> None:
        best.see(step, arm.decode(name, latent), arm.classify(latent).argmax(-1) == wanted)

    what = f"optimising towards {name}"
    steps, every = cfg.optimization_steps, cfg.optimization_every
    descend(begin, streams, steps, cfg.optimization_rate, loss, what, None, every, watch)


def _starts(
    embedder: Embedder, train: Mapping[str, Population], cfg: Exploration, names: tuple
) -> tuple[list[str], Tensor]:
    """Ids and latents [n, D] of training networks to start from, drawn over all architectures."""
    ids = [(name, i) for name, population in train.items() for i in range(len(population.flat))]
    chosen = torch.randperm(len(ids), generator=generator(*names, "starts"))
    picked = [ids[k] for k in chosen[: cfg.optimization_starts].tolist()]
    with torch.no_grad():
        latents = [embedder.arm.encode(name, train[name].flat[[i]])[0] for name, i in picked]
    return [train[name].names[i] for name, i in picked], torch.stack(latents)

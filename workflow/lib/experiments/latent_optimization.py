"""Latent-space optimisation: move a latent, decoder frozen, until its network is good.

Loss (paper, Sec. IV-D): 0.9 KL to the teacher (not times T^2) + 0.1 cross entropy to the labels +
cross entropy of the architecture head to the required architecture, where there are several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from lib.config.experiments import LatentOptimization
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder
from lib.embed.refine import Run
from lib.engine import ensemble
from lib.engine.descent import descend
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.controls import distill
from lib.experiments.task import Row, Task, Zoo, table
from lib.zoo.population import Population

KL_WEIGHT, LABEL_WEIGHT = 0.9, 0.1

Loss = Callable[[Run, torch.Generator], Tensor]  # from what runs n networks to their losses [n]


def run(task: Task, cfg: LatentOptimization) -> pd.DataFrame:
    """The table `latent_optimization.csv`: one row for each step looked at of each run.

    For every required architecture the same latents to start from. Methods: `latent`, the decoder
    frozen; `weights`, the weights of the networks decoded from the same latents, trained on;
    `distilled`, fresh networks trained from scratch. All take the same loss, images and number of
    steps. `best_of_zoo`: the training network of best validation accuracy. Test accuracy is given
    at the step of best validation accuracy alone.
    """
    loss = teacher_loss(cfg, task.images["train"], task.teacher)
    rows = []
    for seed, embedder in task.embedders.items():
        stream = task.stream.of(seed)
        starts = starts_of(embedder, task, cfg, stream)
        for name in task.architectures:
            search = Search(task, cfg, embedder, name, loss, stream.of(name))
            rows += [row | {"seed": seed} for row in search.rows(starts)]
    return table(rows, CLASSIFIERS["latent_optimization"])


def teacher_loss(cfg: LatentOptimization, images: ImageSplit, teacher: Tensor) -> Loss:
    """The loss of networks pulled to a teacher.

    0.9 KL to the teacher's logits [images, K] (not times T^2) + 0.1 cross entropy to the labels,
    on `cfg.batch` training images drawn anew each time.
    """

    def loss(run: Run, rng: torch.Generator) -> Tensor:
        chosen = torch.randint(len(images.y), (cfg.batch,), generator=rng)
        outputs = run(images.x[chosen])
        pull = losses.distillation(outputs, teacher[chosen], cfg.temperature) / cfg.temperature**2
        return KL_WEIGHT * pull + LABEL_WEIGHT * losses.labels(outputs, images.y[chosen])

    return loss


@dataclass(frozen=True)
class Starts:
    """Where optimisation starts: names [n], the kind of each and latents [n, D]."""

    names: list[str]
    kinds: list[str]
    latents: Tensor


def starts_of(embedder: Embedder, task: Task, cfg: LatentOptimization, stream: Stream) -> Starts:
    """`cfg.starts` starts of each kind that `cfg.start_from` asks for, see there."""
    train, test, count = task.zoo["train"], task.zoo["test"], cfg.starts

    def random() -> tuple[list[str], Tensor]:
        with torch.no_grad():
            known = torch.cat([embedder.arm.encode(name, p.flat) for name, p in train.items()])
        draws = torch.randn(count, known.shape[1], generator=stream.of("random").torch())
        drawn = known.mean(0) + known.std(0, correction=0) * draws.to(known.device)
        return [f"random-{i}" for i in range(count)], drawn

    def training() -> tuple[list[str], Tensor]:
        total = sum(len(population.flat) for population in train.values())
        order = torch.randperm(total, generator=stream.of("starts").torch())
        return _encoded(embedder, train, order[:count].tolist())

    def poor() -> tuple[list[str], Tensor]:
        scores = torch.cat([population.scores for population in test.values()])
        return _encoded(embedder, test, scores.argsort(stable=True)[:count].tolist())

    kinds = {"training": training, "poor": poor, "random": random}
    found = {kind: kinds[kind]() for kind in cfg.start_from}
    return Starts(
        [name for names, _ in found.values() for name in names],
        [kind for kind, (names, _) in found.items() for _ in names],
        torch.cat([latents for _, latents in found.values()]),
    )


@torch.no_grad()
def _encoded(embedder: Embedder, zoo: Zoo, chosen: Sequence[int]) -> tuple[list[str], Tensor]:
    """Names and latents [n, D] of networks by their numbers among those of all architectures."""
    places = [(name, i) for name, population in zoo.items() for i in range(len(population.flat))]
    picked, found = [places[k] for k in chosen], {}
    for wanted in dict.fromkeys(name for name, _ in picked):
        these = [i for name, i in picked if name == wanted]
        latents = embedder.arm.encode(wanted, zoo[wanted].flat[these])
        found |= {(wanted, i): latent for i, latent in zip(these, latents, strict=True)}
    names = [zoo[name].names[i] for name, i in picked]
    return names, torch.stack([found[place] for place in picked])


class Best:
    """Validation accuracies [n] while optimising; keeps each one's best network so far."""

    def __init__(self, population: Population, validation: ImageSplit) -> None:
        """Of networks of the population's architecture, on validation images."""
        self.population, self.validation = population, validation
        self.seen: list[tuple[int, list[float]]] = []
        self.score, self.step = torch.empty(0), torch.empty(0)
        self.flat = torch.empty(0)

    def see(self, step: int, flat: Tensor, allowed: Tensor | None = None) -> None:
        """Validate networks [n, P]; those not `allowed` cannot become the best."""
        outputs = self.population.family.predict(flat, self.validation.x)
        score = ensemble.accuracy(outputs, self.validation.y)
        self.seen.append((step, score.tolist()))
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

    def rows(self, starts: Sequence[Row], test: ImageSplit) -> list[Row]:
        """Rows of the table, with the columns of `starts`, one for each network.

        A run that never became allowed has no test accuracy: it failed.
        """
        outputs = self.population.family.predict(self.flat, test.x)
        accuracies, found = ensemble.accuracy(outputs, test.y).tolist(), []
        for step, scores in self.seen:
            for i, start in enumerate(starts):
                chosen = step == self.step[i] and self.score[i] >= 0
                row = {
                    "architecture": self.population.family.architecture,
                    "step": step,
                    "validation_accuracy": scores[i],
                    "test_accuracy": accuracies[i] if chosen else math.nan,
                }
                found.append(row | start)
        return found


@dataclass(frozen=True)
class Search:
    """The search for good networks of one architecture with one embedder."""

    task: Task
    cfg: LatentOptimization
    embedder: Embedder
    name: str
    loss: Loss
    stream: Stream

    @property
    def known(self) -> Population:
        """The training networks of the required architecture."""
        return self.task.zoo["train"][self.name]

    def rows(self, starts: Starts) -> list[Row]:
        """Rows of all methods, see `run`."""
        name, fresh = self.name, self.cfg.starts
        with torch.no_grad():
            decoded = self.embedder.arm.decode(name, starts.latents)
        begun = fresh_networks(name, self.task.images["train"], fresh, self.stream, calibrated=True)
        known = self.known.names[self.known.scores.argmax()]
        best = {
            "latent": self._move(starts.latents),
            "weights": self._train(decoded),
            "distilled": self._train(begun),
            "best_of_zoo": Best(self.known, self.task.images["validation"]),
        }
        best["best_of_zoo"].see(0, self.known.best()[None])
        same = list(zip(starts.names, starts.kinds, strict=True))
        places = {
            "latent": same,
            "weights": same,
            "distilled": [(f"fresh-{i}", "fresh") for i in range(fresh)],
            "best_of_zoo": [(known, "zoo")],
        }
        return [
            row
            for method, found in best.items()
            for row in found.rows(
                [{"method": method, "start": s, "start_from": k} for s, k in places[method]],
                self.task.images["test"],
            )
        ]

    def _move(self, latents: Tensor) -> Best:
        """Latents moved towards good networks of the required architecture."""
        arm, name, cfg = self.embedder.arm, self.name, self.cfg
        wanted, several = list(arm.families).index(name), len(arm.families) > 1
        required = torch.full((len(latents),), wanted, device=latents.device)
        best = Best(self.known, self.task.images["validation"])

        def loss(moved: Tensor, rng: torch.Generator) -> Tensor:
            found = self.loss(lambda x: arm.run(name, moved, x), rng)
            if several:
                found = found + F.cross_entropy(arm.classify(moved), required, reduction="none")
            return found

        @torch.no_grad()
        def watch(step: int, moved: Tensor) -> None:
            best.see(step, arm.decode(name, moved), arm.classify(moved).argmax(-1) == wanted)

        descend(
            latents,
            loss,
            stream=self.stream,
            steps=cfg.steps,
            rate=cfg.rate,
            what=f"optimising towards {name}",
            schedule=self._falls and partial(CosineAnnealingLR, T_max=cfg.steps),
            every=cfg.every,
            watch=watch,
        )
        return best

    def _train(self, flat: Tensor) -> Best:
        """Networks [n, P] of the required architecture trained by the same loss."""
        best, steps = Best(self.known, self.task.images["validation"]), self.cfg.steps

        def pace(step: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * step / steps)) if self._falls else 1.0

        distill(
            self.known.family,
            flat,
            self.loss,
            stream=self.stream,
            steps=steps,
            rate=self.task.controls.distill_rate,
            pace=pace,
            every=self.cfg.every,
            watch=best.see,
        )
        return best

    @property
    def _falls(self) -> bool:
        return self.cfg.schedule == "cosine"

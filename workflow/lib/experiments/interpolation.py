"""Walks from one test network to another, in the latent space and in the weights.

Between networks of the two extreme architectures, and between two networks of each architecture.
Within an architecture there are three ways in the weights: as they are; with the neurons of one
network in the order of the other's (`lib.nets.alignment`); and, after that, with the statistics of
every hidden neuron set to what lies between the end points' (`lib.nets.repair`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config.experiments import Interpolation
from lib.core.errors import InputError
from lib.core.progress import log, track
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.between import between, mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.engine.family import Family
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.decoding import run_predicted
from lib.experiments.task import Row, Task, table
from lib.nets.alignment import Neurons
from lib.nets.repair import mixed, moments, repaired
from lib.zoo.population import Population

BATCH = 25  # points repaired at once


class WalkError(InputError):
    """There are too few networks to walk between."""


def run(task: Task, cfg: Interpolation) -> pd.DataFrame:
    """The table `interpolation.csv`: one row for each point of each walk, method and embedder.

    The walks between the `extremes` come first, then those within architectures, `good` or `mixed`
    as their ends are (see `pairs_of`); only the latter have something in column `architecture`.

    Raises:
        WalkError: nothing can be walked between.
    """
    rows = []
    for seed, embedder in task.embedders.items():
        if cfg.pairs and len(task.architectures) > 1:
            found = between_extremes(task, cfg, embedder)
            rows += [row | {"seed": seed} for row in found]
        for name in task.architectures if cfg.pairs_within else ():
            rows += [row | {"seed": seed} for row in within(task, cfg, embedder, name)]
    if not rows:
        raise WalkError(
            "no two test networks to walk between; raise instances.test of the zoo, or pairs and "
            "pairs_within of the interpolation"
        )
    return table(rows, CLASSIFIERS["interpolation"])


# Between the extremes


def points_of(
    cfg: Interpolation, architectures: int, counts: tuple[int, int]
) -> list[tuple[int, int, list[float]]]:
    """The pairs (number of the first, of the last network) and the gammas looked at for each.

    All pairs are looked at where the inner architectures lie (1/3 and 2/3 for four); the first
    `cfg.pairs` pairs of networks with the same place in their lists along the whole way.
    """
    inner, curve = between(architectures), steps_of(cfg.points)
    return [
        (i, j, sorted({*inner, *curve}) if i == j and i < cfg.pairs else inner)
        for i in range(counts[0])
        for j in range(counts[1])
    ]


def steps_of(points: int) -> list[float]:
    """Gammas from 0 to 1, evenly."""
    # One division each, so that the inner places are hit exactly and not counted twice.
    return [k / (points - 1) for k in range(points)]


def between_extremes(task: Task, cfg: Interpolation, embedder: Embedder) -> list[Row]:
    """Rows of walks between the first and the last architecture, by pair, method and gamma.

    Methods: `latent`, the decoded networks; `weights`, the flat weights themselves interpolated and
    run as the architecture that the latent predicts there; `constant`, the best training network of
    that architecture.
    """
    train, test, images = task.zoo["train"], task.zoo["test"], task.images["test"]
    names, arm, rows = task.architectures, embedder.arm, []
    first, last = test[names[0]], test[names[-1]]
    with torch.no_grad():
        ends = arm.encode(names[0], first.flat), arm.encode(names[-1], last.flat)
    best = {n: _accuracies(train[n].family, train[n].best()[None], images)[0] for n in names}
    todo = points_of(cfg, len(names), (len(first.flat), len(last.flat)))
    for i, j, gammas in track(todo, "pairs"):
        gamma = torch.tensor(gammas, dtype=torch.float32, device=ends[0].device)[:, None]
        latents = mix(ends[0][i], ends[1][j], gamma)
        classes, outputs = run_predicted(arm, latents, images.x)
        raw = dict[int, float]()
        for name in dict.fromkeys(classes):
            at = [k for k, found in enumerate(classes) if found == name]
            family = test[name].family
            start, end = (_fit(flat, family.layout.size) for flat in (first.flat[i], last.flat[j]))
            accuracies = _accuracies(family, mix(start, end, gamma[at]), images)
            raw |= zip(at, accuracies, strict=True)
        found = {
            "latent": ensemble.accuracy(outputs, images.y).tolist(),
            "weights": [raw[k] for k in range(len(gammas))],
            "constant": [best[name] for name in classes],
        }
        walk = {"pair": f"{first.names[i]}:{last.names[j]}", "ends": "extremes"}
        for method, accuracies in found.items():
            rows += _points(walk | {"method": method}, gammas, classes, accuracies)
    return sorted(rows, key=lambda row: (row["pair"], row["method"], row["gamma"]))


def _fit(flat: Tensor, size: int) -> Tensor:
    return F.pad(flat[:size], (0, max(0, size - len(flat))))


# Within an architecture


def pairs_of(test: Population, count: int, stream: Stream) -> list[tuple[int, int, str]]:
    """Pairs of networks (numbers of the first, of the last) and what their ends are.

    Networks are good or poor as their validation accuracy is in the upper or lower half. Of every
    three pairs two are `good` (both are) and one is `mixed` (from poor to good), as long as there
    are networks left; a network is in one pair at most.
    """
    order = torch.randperm(len(test.flat), generator=stream.torch())
    better = test.scores >= test.scores.median()
    good = [i for i in order.tolist() if better[i]]
    poor = [i for i in order.tolist() if not better[i]]
    found = []
    while len(found) < count:
        if len(found) % 3 == 2 and poor and good:
            found.append((poor.pop(), good.pop(), "mixed"))
        elif len(good) >= 2:
            found.append((good.pop(), good.pop(), "good"))
        elif poor and good:
            found.append((poor.pop(), good.pop(), "mixed"))
        else:
            break
    return found


def within(task: Task, cfg: Interpolation, embedder: Embedder, name: str) -> list[Row]:
    """Rows of walks between two networks of one architecture.

    Methods: `latent`, decoded networks; `weights`; `aligned`; `aligned_reset`. The ends of the
    first are decoded networks, those of the others the test networks themselves. Where it is not
    known how neurons may be ordered there is no `aligned`, and without a bias in every hidden layer
    no `aligned_reset`; the log says so.
    """
    test, images, arm = task.zoo["test"][name], task.images["test"], embedder.arm
    if len(test.flat) < 2:
        log.warning("%s: one test network alone, no walks within it", name)
        return []
    ways = Ways.of(test.family, task.images["train"].x[: cfg.reset_images])
    gammas, rows = steps_of(cfg.points), []
    gamma = torch.tensor(gammas, device=test.flat.device)
    with torch.no_grad():
        latents = arm.encode(name, test.flat)
    pairs = pairs_of(test, cfg.pairs_within, task.stream.of(name, "pairs"))
    for i, j, ends in track(pairs, f"pairs of {name}"):
        between_them = mix(latents[[i]], latents[[j]], gamma[:, None])
        classes, outputs = run_predicted(arm, between_them, images.x)
        walk = {"pair": f"{test.names[i]}:{test.names[j]}", "ends": ends, "architecture": name}
        accuracies = ensemble.accuracy(outputs, images.y).tolist()
        rows += _points(walk | {"method": "latent"}, gammas, classes, accuracies)
        for method, flat in ways.between(test.flat[[i]], test.flat[[j]], gamma).items():
            accuracies = _accuracies(test.family, flat, images)
            rows += _points(walk | {"method": method}, gammas, [name] * len(flat), accuracies)
    return rows


@dataclass(frozen=True)
class Ways:
    """The ways from one network of an architecture to another in their weights.

    Attributes:
        family: the architecture.
        neurons: how its neurons may be ordered; None where that is not known.
        biased: whether every hidden layer has a bias, so that networks can be repaired.
        x: images [B, C, H, W] that networks are repaired on.
    """

    family: Family
    neurons: Neurons | None
    biased: bool
    x: Tensor

    @classmethod
    def of(cls, family: Family, x: Tensor) -> Ways:
        """The ways that there are; the log says which there are not."""
        neurons, name = Neurons.of(family.module), family.architecture
        if neurons is None:
            log.warning(
                "%s: no aligned walks, as its neurons cannot be put in another order: it shares "
                "layers, has grouped convolutions or an operation that may look at several "
                "channels at once",
                name,
            )
            return cls(family, None, False, x)
        known = {entry.name for entry in family.layout.entries}
        lacking = [layer for layer in neurons.layers if f"{layer}.bias" not in known]
        if lacking:
            log.warning("%s: no repaired walks, as layer %s has no bias", name, lacking[0])
        return cls(family, neurons, not lacking, x)

    def between(self, first: Tensor, last: Tensor, gamma: Tensor) -> dict[str, Tensor]:
        """Networks [n, P] at gamma [n] between two, each [1, P], by method."""
        found = {"weights": mix(first, last, gamma[:, None])}
        if self.neurons is None:
            return found
        aligned = self.neurons.align(last, first[0])
        found["aligned"] = mix(first, aligned, gamma[:, None])
        if self.biased:
            found["aligned_reset"] = self._repaired(found["aligned"], first, aligned, gamma)
        return found

    def _repaired(self, flat: Tensor, first: Tensor, last: Tensor, gamma: Tensor) -> Tensor:
        module, layers = self.family.module, self.neurons.layers
        ends = [moments(module, layers, one, self.x) for one in (first, last)]
        parts = zip(flat.split(BATCH), gamma.split(BATCH), strict=True)
        return torch.cat([repaired(module, some, self.x, mixed(*ends, at)) for some, at in parts])


def _points(
    walk: Row, gammas: Sequence[float], classes: Sequence[str], accuracies: Sequence[float]
) -> list[Row]:
    columns = ("gamma", "predicted_architecture", "accuracy")
    points = zip(gammas, classes, accuracies, strict=True)
    return [walk | dict(zip(columns, point, strict=True)) for point in points]


def _accuracies(family: Family, flat: Tensor, images: ImageSplit) -> list[float]:
    return ensemble.accuracy(family.predict(flat, images.x), images.y).tolist()

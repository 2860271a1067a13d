"""Walks from one test network to another: in the latent space and, as control, in raw weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config import Exploration
from lib.core.progress import track
from lib.data.images import ImageSplit
from lib.embed.multiarch import between, mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.zoo.population import Population

COLUMNS = ("pair", "method", "gamma", "predicted_architecture", "accuracy", "seed")


def points_of(
    cfg: Exploration, architectures: int, counts: tuple[int, int]
) -> list[tuple[int, int, list[float]]]:
    """The pairs (number of the first, of the last network) and the gammas looked at for each.

    All pairs are looked at where the inner architectures lie (1/3 and 2/3 for four); the first
    `cfg.pairs` pairs of networks with the same place in their lists along the whole way.
    """
    # One division each, so that the inner places are hit exactly and not counted twice.
    curve = [k / (cfg.points - 1) for k in range(cfg.points)]
    inner = between(architectures)
    return [
        (i, j, sorted({*inner, *curve}) if i == j and i < cfg.pairs else inner)
        for i in range(counts[0])
        for j in range(counts[1])
    ]


def interpolate(
    embedder: Embedder,
    seed: int,
    cfg: Exploration,
    train: Mapping[str, Population],
    test: Mapping[str, Population],
    images: ImageSplit,
) -> pd.DataFrame:
    """The table `interpolation.csv` of one embedder, between the first and last architecture.

    Methods: `latent`, the decoded networks; `weights`, the PReps themselves interpolated and run
    as the architecture that the latent predicts there; `constant`, the best training network of
    that architecture.
    """
    names, arm = list(embedder.architectures), embedder.arm
    first, last = test[names[0]], test[names[-1]]
    with torch.no_grad():
        ends = arm.encode(names[0], first.flat), arm.encode(names[-1], last.flat)
    constant = {name: _accuracy(train[name], train[name].best()[None], images)[0] for name in names}
    rows = []
    todo = points_of(cfg, len(names), (len(first.flat), len(last.flat)))
    for i, j, gammas in track(todo, "pairs"):
        gamma = torch.tensor(gammas, dtype=torch.float32, device=ends[0].device)[:, None]
        latents = mix(ends[0][i], ends[1][j], gamma)
        with torch.no_grad():
            classes = arm.classify(latents).argmax(-1)
        pair = f"{first.names[i]}:{last.names[j]}"
        for k, at in _by_class(classes):
            name = names[k]
            with torch.no_grad():
                decoded = arm.decode(name, latents[at])
            size = test[name].family.layout.size
            raw = mix(_fit(first.flat[i], size), _fit(last.flat[j], size), gamma[at])
            found = {
                "latent": _accuracy(test[name], decoded, images),
                "weights": _accuracy(test[name], raw, images),
                "constant": [constant[name]] * len(at),
            }
            rows += [
                (pair, method, gammas[p], name, accuracy, seed)
                for method, accuracies in found.items()
                for p, accuracy in zip(at.tolist(), accuracies, strict=True)
            ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(["pair", "method", "gamma"], kind="stable", ignore_index=True)


def _fit(flat: Tensor, size: int) -> Tensor:
    return F.pad(flat[:size], (0, max(0, size - len(flat))))


def _by_class(classes: Tensor) -> Iterator[tuple[int, Tensor]]:
    for k in classes.unique().tolist():
        yield k, (classes == k).nonzero().flatten()


def _accuracy(population: Population, flat: Tensor, images: ImageSplit) -> list[float]:
    return ensemble.accuracy(population.family.predict(flat, images.x), images.y).tolist()

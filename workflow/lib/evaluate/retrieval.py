"""Do a network's neighbours share what is known of it? Latent space against weights and answers.

Queries are the test networks, looked for among the training networks. *Precision at 10* is the
share of the ten nearest that are of the query's own kind: of its architecture; of its *band* of
accuracy (thirds of the training networks by validation accuracy; the query's own accuracy says
which is its band); or of its band among the networks of its architecture alone, with bands made
of these, since architectures differ in accuracy. `chance_...` is the share of all that were looked
among.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.images import ImageSplit
from lib.embed.product import Embedder
from lib.explore.neighbours import Index
from lib.population import Population

K, BANDS = 10, 3
KINDS = ("architecture", "band", "band_within")
COLUMNS = (
    "network",
    "architecture",
    "method",
    "neighbours",
    *(f"{what}_{kind}" for kind in KINDS for what in ("precision", "chance")),
    "embedder",
    "seed",
)
Zoo = Mapping[str, Population]


def bands(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The band (0 is the lowest) of each of `values`, by the quantiles of `known`."""
    edges = np.quantile(known, [k / BANDS for k in range(1, BANDS)])
    return np.searchsorted(edges, values, side="right")


def control_rows(train: Zoo, test: Zoo, images: ImageSplit, seed: int) -> list[tuple]:
    """Rows of the methods that need no embedder.

    `weights`: Euclidean distance of the flat weights, those of smaller architectures with zeros
    behind them (as a PRep fills its rows); `outputs`: the share of images on which two networks
    answer differently.
    """
    width = max(population.flat.shape[1] for population in train.values())

    def padded(population: Population) -> Tensor:
        return F.pad(population.flat, (0, width - population.flat.shape[1]))

    def answers(population: Population) -> Tensor:
        # Each answer as one number of many, so that distance counts the images that differ.
        found = population.outputs(images).argmax(-1)
        return F.one_hot(found, len(images.classes)).float().flatten(1)

    rows = []
    for method, points in (("weights", padded), ("outputs", answers)):
        rows += _rows(method, points, train, test, "none", seed)
    return rows


def latent_rows(embedder: Embedder, seed: int, train: Zoo, test: Zoo) -> list[tuple]:
    """Rows of the method `latent`: Euclidean distance of the latents."""

    def latents(population: Population) -> Tensor:
        with torch.no_grad():
            return embedder.arm.encode(population.space.architecture, population.flat)

    return _rows("latent", latents, train, test, embedder.arm.cfg.arm, seed)


def _rows(
    method: str,
    points: Callable[[Population], Tensor],
    train: Zoo,
    test: Zoo,
    embedder: str,
    seed: int,
) -> list[tuple]:
    known = {name: points(population) for name, population in train.items()}
    everyone = Index(torch.cat(list(known.values())))
    scores = {name: population.scores.numpy() for name, population in train.items()}
    every, names = (
        np.concatenate(list(scores.values())),
        np.repeat(list(known), [*map(len, scores.values())]),
    )
    rows = []
    for name, population in test.items():
        queries, own = points(population), population.scores.numpy()
        near = everyone.search(queries, min(K, len(every)))[0]
        within = Index(known[name]).search(queries, min(K, len(scores[name])))[0]
        truths = {
            "architecture": (near, names, np.repeat(name, len(own))),
            "band": (near, bands(every, every), bands(every, own)),
            "band_within": (within, bands(scores[name], scores[name]), bands(scores[name], own)),
        }
        found = []
        for numbers, of_known, of_queries in truths.values():
            same = of_known[None] == of_queries[:, None]
            found += [np.take_along_axis(same, numbers, 1).mean(1), same.mean(1)]
        rows += [
            (network, name, method, near.shape[1], *values, embedder, seed)
            for network, *values in zip(
                population.names, *map(np.ndarray.tolist, found), strict=True
            )
        ]
    return rows


def table(rows: list[tuple]) -> pd.DataFrame:
    """The rows as the table `retrieval.csv`."""
    return pd.DataFrame(rows, columns=COLUMNS)

"""Do a network's neighbours share what is known of it? Latent space against weights and answers.

Queries are the test networks, looked for among the training networks. *Precision at 10* is the
share of the ten nearest that are of the query's own kind: of its architecture; of its *band* of
accuracy (thirds of the training networks by validation accuracy; the query's own accuracy says
which is its band); or of its band among the networks of its architecture alone, with bands made
of these, since architectures differ in accuracy. `agreement_within` is how often a query and the
neighbours of its architecture give the same answer. `chance_...` is the mean over all that were
looked among.
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
from lib.zoo.population import Population

K, BANDS = 10, 3
KINDS = ("architecture", "band", "band_within")
COLUMNS = (
    "network",
    "architecture",
    "method",
    "neighbours",
    *(f"{what}_{kind}" for kind in KINDS for what in ("precision", "chance")),
    "agreement_within",
    "chance_agreement_within",
    "embedder",
    "seed",
)
Zoo = Mapping[str, Population]


def bands(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The band (0 is the lowest) of each of `values`, by the quantiles of `known`."""
    edges = np.quantile(known, [k / BANDS for k in range(1, BANDS)])
    return np.searchsorted(edges, values, side="right")


class Retrieval:
    """Test networks looked for among training networks, by whatever points stand for a network."""

    def __init__(self, train: Zoo, test: Zoo, images: ImageSplit) -> None:
        """Take the answers of all networks on (test) images."""
        self.train, self.test, self.classes = train, test, len(images.classes)
        self.answers = {
            id(population): population.outputs(images).argmax(-1)
            for zoo in (train, test)
            for population in zoo.values()
        }

    def control_rows(self, seed: int) -> list[tuple]:
        """Rows of the methods that need no embedder.

        `weights`: Euclidean distance of the flat weights, those of smaller architectures with
        zeros behind them (as a PRep fills its rows); `outputs`: the number of images on which two
        networks answer differently.
        """
        width = max(population.flat.shape[1] for population in self.train.values())

        def padded(population: Population) -> Tensor:
            return F.pad(population.flat, (0, width - population.flat.shape[1]))

        def answers(population: Population) -> Tensor:
            # Each answer as one number of many: Euclidean distance counts those that differ.
            return F.one_hot(self.answers[id(population)], self.classes).float().flatten(1)

        rows = self._rows("weights", padded, "none", seed)
        return rows + self._rows("outputs", answers, "none", seed)

    def latent_rows(self, embedder: Embedder, seed: int) -> list[tuple]:
        """Rows of the method `latent`: Euclidean distance of the latents."""

        def latents(population: Population) -> Tensor:
            with torch.no_grad():
                return embedder.arm.encode(population.family.architecture, population.flat)

        return self._rows("latent", latents, embedder.arm.cfg.arm, seed)

    def _rows(
        self, method: str, points: Callable[[Population], Tensor], embedder: str, seed: int
    ) -> list[tuple]:
        known = {name: points(population) for name, population in self.train.items()}
        scores = {name: population.scores.numpy() for name, population in self.train.items()}
        every = np.concatenate(list(scores.values()))
        names = np.repeat(list(scores), [len(some) for some in scores.values()])
        everyone, rows = Index(torch.cat(list(known.values()))), []
        for name, population in self.test.items():
            queries, own, among = points(population), population.scores.numpy(), scores[name]
            near = everyone.search(queries, min(K, len(every)))[0]
            within = Index(known[name]).search(queries, min(K, len(among)))[0]
            alike = self._agreement(name)
            found = [
                *_precision(near, names == np.repeat(name, len(own))[:, None]),
                *_precision(near, bands(every, every) == bands(every, own)[:, None]),
                *_precision(within, bands(among, among) == bands(among, own)[:, None]),
                *_precision(within, alike),
            ]
            values = zip(population.names, *(part.tolist() for part in found), strict=True)
            rows += [
                (network, name, method, near.shape[1], *some, embedder, seed)
                for network, *some in values
            ]
        return rows

    def _agreement(self, name: str) -> np.ndarray:
        """Share of images [n, m] that test and training networks answer in the same way."""
        asked, known = (self.answers[id(zoo[name])] for zoo in (self.test, self.train))
        return torch.stack([(known == one).float().mean(1) for one in asked]).cpu().numpy()


def _precision(near: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of `same` [n, m] over the neighbours [n, k] of each query, and over all."""
    return np.take_along_axis(same, near, 1).mean(1), same.mean(1)


def table(rows: list[tuple]) -> pd.DataFrame:
    """The rows as the table `retrieval.csv`."""
    return pd.DataFrame(rows, columns=COLUMNS)

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

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config import experiments as asked
from lib.embed.product import Embedder
from lib.experiments.bands import bands
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.neighbours import Index
from lib.experiments.task import Row, Task, table
from lib.zoo.population import Population

K = 10
KINDS = ("architecture", "band", "band_within")
Points = Callable[[Population], Tensor]  # what stands for each network, [n, D]


def run(task: Task, cfg: asked.Retrieval) -> pd.DataFrame:
    """The table `retrieval.csv`."""
    search = Search(task)
    rows = search.control_rows()
    for seed, embedder in task.embedders.items():
        rows += search.latent_rows(embedder, seed)
    return table(rows, CLASSIFIERS["retrieval"])


class Search:
    """Test networks looked for among training networks, by whatever points stand for a network."""

    def __init__(self, task: Task) -> None:
        """Take the answers of all networks on test images."""
        self.train, self.test, self.seed = task.zoo["train"], task.zoo["test"], task.seed
        images = task.images["test"]
        self.classes = len(images.classes)
        self.answers = {
            id(population): population.outputs(images).argmax(-1)
            for zoo in (self.train, self.test)
            for population in zoo.values()
        }

    def control_rows(self) -> list[Row]:
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

        beside = {"embedder": "none", "seed": self.seed}
        ways = {"weights": padded, "outputs": answers}
        return [row | beside for way, points in ways.items() for row in self._rows(way, points)]

    def latent_rows(self, embedder: Embedder, seed: int) -> list[Row]:
        """Rows of the method `latent`: Euclidean distance of the latents."""

        def latents(population: Population) -> Tensor:
            with torch.no_grad():
                return embedder.arm.encode(population.family.architecture, population.flat)

        beside = {"embedder": embedder.arm.cfg.arm, "seed": seed}
        return [row | beside for row in self._rows("latent", latents)]

    def _rows(self, method: str, points: Points) -> list[Row]:
        known = {name: points(population) for name, population in self.train.items()}
        scores = {name: population.scores.numpy() for name, population in self.train.items()}
        every = np.concatenate(list(scores.values()))
        names = np.repeat(list(scores), [len(part) for part in scores.values()])
        everyone, rows = Index(torch.cat(list(known.values()))), []
        for name, population in self.test.items():
            queries, own, among = points(population), population.scores.numpy(), scores[name]
            near = everyone.search(queries, min(K, len(every)))[0]
            within = Index(known[name]).search(queries, min(K, len(among)))[0]
            own_band, own_band_within = bands(every, own)[:, None], bands(among, own)[:, None]
            shares = {
                "architecture": _shares(near, names == np.repeat(name, len(own))[:, None]),
                "band": _shares(near, bands(every, every) == own_band),
                "band_within": _shares(within, bands(among, among) == own_band_within),
            }
            columns = {"network": population.names}
            for kind, (precision, chance) in shares.items():
                columns |= {f"precision_{kind}": precision, f"chance_{kind}": chance}
            agreement, chance = _shares(within, self._agreement(name))
            columns |= {"agreement_within": agreement, "chance_agreement_within": chance}
            fixed = {"architecture": name, "method": method, "neighbours": near.shape[1]}
            rows += pd.DataFrame(columns).assign(**fixed).to_dict("records")
        return rows

    def _agreement(self, name: str) -> np.ndarray:
        """Share of images [n, m] that test and training networks answer in the same way."""
        queries, known = (self.answers[id(zoo[name])] for zoo in (self.test, self.train))
        return torch.stack([(known == one).float().mean(1) for one in queries]).cpu().numpy()


def _shares(near: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of `same` [n, m] over the neighbours [n, k] of each query, and over all."""
    return np.take_along_axis(same, near, 1).mean(1), same.mean(1)

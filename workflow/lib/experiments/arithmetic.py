"""Task arithmetic: the direction from poor to good networks, added to networks held out.

The direction is the mean of the best third of the training networks minus that of the worst, by
validation accuracy: among latents, and as a control among weights (Ilharco et al., "Editing models
with task arithmetic", ICLR 2023, subtract weights that share an initialisation; these do not).

Methods: `latent`; `random`, the same in a random direction of equal length; `weights`, the weights
of the networks themselves moved by the direction in weights. `change` is test accuracy minus that
of the same method at scale 0 (decoded networks, or the networks themselves). `chosen` marks for
each architecture, method and band the scale that is best for validation networks of the band on
validation images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.config import experiments as asked
from lib.core.progress import track
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.experiments.bands import BANDS, bands_of
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.task import Row, Task, table
from lib.zoo.population import Population


def run(task: Task, cfg: asked.Arithmetic) -> pd.DataFrame:
    """The table `arithmetic.csv`: test networks moved by each of `cfg.scales`."""
    rows: list[Row] = []
    for seed, embedder in task.embedders.items():
        for name in task.architectures:
            zoo = {split: by[name] for split, by in task.zoo.items()}
            moves = Moves(zoo, task.images, cfg.scales)
            stream = task.stream.of(seed, "direction", name)
            for method, way in track(moves.ways(embedder, stream).items(), f"moves of {name}"):
                rows += [row | {"seed": seed} for row in moves.rows(method, way)]
    return table(rows, CLASSIFIERS["arithmetic"])


class Way(NamedTuple):
    """Points [n, D] of the networks of each split, a direction [D], and points as networks."""

    points: Mapping[str, Tensor]
    towards: Tensor
    networks: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Moves:
    """Networks of one architecture, by split, and the scales that they are moved by."""

    zoo: Mapping[str, Population]
    images: Mapping[str, ImageSplit]
    scales: tuple[float, ...]

    def ways(self, embedder: Embedder, stream: Stream) -> dict[str, Way]:
        """The ways to move them, by method; the random direction comes from the stream."""
        train, arm = self.zoo["train"], embedder.arm
        name, bands = train.family.architecture, bands_of(train, train)
        weights = {split: population.flat for split, population in self.zoo.items()}
        with torch.no_grad():
            latents = {split: arm.encode(name, flat) for split, flat in weights.items()}
        move = direction(latents["train"], bands)
        random = torch.randn(move.shape, generator=stream.torch()).to(move.device)
        random = random * move.norm() / random.norm()

        def decode(latent: Tensor) -> Tensor:
            with torch.no_grad():
                return arm.decode(name, latent)

        return {
            "latent": Way(latents, move, decode),
            "random": Way(latents, random, decode),
            "weights": Way(weights, direction(train.flat, bands), lambda flat: flat),
        }

    def rows(self, method: str, way: Way) -> Iterator[Row]:
        """Rows of one way: each test network at each scale."""
        test, bands = self.zoo["test"], self._bands("test")
        kept = {scale: self._accuracies(way, "validation", scale) for scale in self.scales}
        best, before = (
            best_scales(kept, self._bands("validation")),
            self._accuracies(way, "test", 0),
        )
        for scale in self.scales:
            after = self._accuracies(way, "test", scale)
            for i, (network, band) in enumerate(zip(test.names, bands.tolist(), strict=True)):
                yield {
                    "network": network,
                    "architecture": test.family.architecture,
                    "band": BANDS[band],
                    "method": method,
                    "scale": scale,
                    "accuracy": after[i],
                    "change": after[i] - before[i],
                    "chosen": best.get(band) == scale,
                }

    def _bands(self, split: str) -> np.ndarray:
        return bands_of(self.zoo["train"], self.zoo[split])

    def _accuracies(self, way: Way, split: str, scale: float) -> np.ndarray:
        """Accuracies [n] on the images of the same split, moved by so much."""
        images, family = self.images[split], self.zoo[split].family
        networks = way.networks(way.points[split] + scale * way.towards)
        accuracy = ensemble.accuracy(family.predict(networks, images.x), images.y)
        return accuracy.cpu().double().numpy()


def direction(points: Tensor, bands: np.ndarray) -> Tensor:
    """Mean [D] of the points [n, D] of the highest band minus that of the lowest."""
    lowest, highest = (torch.from_numpy(bands == k) for k in (bands.min(), bands.max()))
    return points[highest].mean(0) - points[lowest].mean(0)


def best_scales(kept: Mapping[float, np.ndarray], bands: np.ndarray) -> dict[int, float]:
    """For each band the scale of highest mean accuracy; the first of equals.

    Args:
        kept: by scale, the accuracies [n] of validation networks.
        bands: their bands [n].
    """
    return {
        int(k): max(kept, key=lambda scale, k=k: kept[scale][bands == k].mean())
        for k in np.unique(bands)
    }

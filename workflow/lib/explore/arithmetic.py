"""Task arithmetic: the direction from poor to good networks, added to networks held out.

The direction is the mean of the best third of the training networks minus that of the worst, by
validation accuracy: among latents, and as a control among weights (Ilharco et al., "Editing models
with task arithmetic", ICLR 2023, subtract weights that share an initialisation; these do not).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.config import SingleExploration
from lib.core.progress import track
from lib.core.repro import generator
from lib.data.images import ImageSplit
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.explore.sampling import BANDS, bands_of
from lib.zoo.population import Population

COLUMNS = ("network", "band", "method", "scale", "accuracy", "change", "chosen", "seed")


def direction(points: Tensor, bands: np.ndarray) -> Tensor:
    """Mean [D] of the points [n, D] of the highest band minus that of the lowest."""
    lowest, highest = (torch.from_numpy(bands == k) for k in (bands.min(), bands.max()))
    return points[highest].mean(0) - points[lowest].mean(0)


def arithmetic(
    embedder: Embedder,
    seed: int,
    names: tuple,
    cfg: SingleExploration,
    zoo: Mapping[str, Population],
    validation: ImageSplit,
    test: ImageSplit,
) -> pd.DataFrame:
    """The table `singlearch/arithmetic.csv`: test networks moved by each of `cfg.scales`.

    Methods: `latent`; `random`, the same in a random direction of equal length; `weights`, the
    weights of the networks themselves moved by the direction in weights. `change` is test accuracy
    minus that of the same method at scale 0 (decoded networks, or the networks themselves).
    `chosen` marks for each method and band the scale that is best for validation networks of the
    band on validation images.
    """
    train, name, arm = zoo["train"], zoo["train"].family.architecture, embedder.arm
    family, known = train.family, bands_of(train, train)
    with torch.no_grad():
        latents = {split: arm.encode(name, population.flat) for split, population in zoo.items()}
    move = direction(latents["train"], known)
    random = torch.randn(move.shape, generator=generator(*names, "direction")).to(move.device)
    random = random * move.norm() / random.norm()
    weights = {split: population.flat for split, population in zoo.items()}

    def decode(latent: Tensor) -> Tensor:
        with torch.no_grad():
            return arm.decode(name, latent)

    ways: dict[str, tuple[dict[str, Tensor], Tensor, Callable[[Tensor], Tensor]]] = {
        "latent": (latents, move, decode),
        "random": (latents, random, decode),
        "weights": (weights, direction(train.flat, known), lambda flat: flat),
    }

    def accuracies(way: tuple, split: str, scale: float, images: ImageSplit) -> np.ndarray:
        points, towards, network = way
        outputs = family.predict(network(points[split] + scale * towards), images.x)
        return ensemble.accuracy(outputs, images.y).cpu().double().numpy()

    tables = []
    for method, way in track(ways.items(), "methods"):
        kept = {scale: accuracies(way, "validation", scale, validation) for scale in cfg.scales}
        best = _best(kept, bands_of(train, zoo["validation"]))
        before = accuracies(way, "test", 0.0, test)
        for scale in cfg.scales:
            after = accuracies(way, "test", scale, test)
            bands = bands_of(train, zoo["test"])
            tables.append(
                pd.DataFrame(
                    {
                        "network": zoo["test"].names,
                        "band": [BANDS[k] for k in bands],
                        "method": method,
                        "scale": scale,
                        "accuracy": after,
                        "change": after - before,
                        "chosen": [best.get(k) == scale for k in bands.tolist()],
                        "seed": seed,
                    },
                    columns=COLUMNS,
                )
            )
    return pd.concat(tables, ignore_index=True)


def _best(kept: Mapping[float, np.ndarray], bands: np.ndarray) -> dict[int, float]:
    """For each band the scale of highest mean accuracy; the first of equals."""
    return {
        int(k): max(kept, key=lambda scale, k=k: kept[scale][bands == k].mean())
        for k in np.unique(bands)
    }

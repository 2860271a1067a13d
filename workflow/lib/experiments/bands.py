"""Bands of accuracy: thirds of the training networks, by their accuracy on validation images."""

from __future__ import annotations

import numpy as np

from lib.zoo.population import Population

BANDS = ("low", "middle", "high")


def bands(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The band (0 is the lowest) of each of `values`, by the quantiles of `known`."""
    edges = np.quantile(known, [k / len(BANDS) for k in range(1, len(BANDS))])
    return np.searchsorted(edges, values, side="right")


def bands_of(train: Population, population: Population) -> np.ndarray:
    """The band (0, 1 or 2) of each network, by its accuracy among the training networks."""
    return bands(train.scores.numpy(), population.scores.numpy())

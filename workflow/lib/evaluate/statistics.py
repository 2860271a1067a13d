"""Statistics that go beside a mean."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy import stats

from lib.repro import seed_for

RESAMPLES = 2000


def mean_interval(values: Iterable[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean of independent values with its Student t confidence interval.

    Args:
        values: one number per independent unit (a network, a pair). NaN means "not measured" and
            is left out; the caller states how many there were.
        level: coverage of the interval, between 0 and 1.

    Returns:
        (mean, low, high) in the unit of `values`. The mean of nothing is NaN, and so are the
        bounds where fewer than two values say nothing about the spread.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, it must lie between 0 and 1")
    numbers = np.asarray(list(values), dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if numbers.size == 0:
        return math.nan, math.nan, math.nan
    mean = float(numbers.mean())
    if numbers.size == 1:
        return mean, math.nan, math.nan
    error = float(numbers.std(ddof=1)) / math.sqrt(numbers.size)
    half = float(stats.t.ppf((1 + level) / 2, numbers.size - 1)) * error
    return mean, mean - half, mean + half


def bootstrap_interval(
    values: Iterable[float], *names: str, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of independent values with its percentile bootstrap interval.

    For means whose values are far from normal, such as shares that are often 0 or 1.

    Args:
        values: as for `mean_interval`.
        names: name the random stream of the resampling.
        level: coverage of the interval, between 0 and 1.

    Returns:
        As `mean_interval`.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, it must lie between 0 and 1")
    numbers = np.asarray(list(values), dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if numbers.size < 2:
        return (float(numbers.mean()) if numbers.size else math.nan), math.nan, math.nan
    random = np.random.default_rng(seed_for("bootstrap", *names))
    means = numbers[random.integers(numbers.size, size=(RESAMPLES, numbers.size))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(numbers.mean()), float(low), float(high)

"""Statistics that go beside a mean."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy import stats


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

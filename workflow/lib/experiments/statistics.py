"""Statistics that go beside a mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lib.core.streams import Stream

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
    random = Stream("bootstrap", *names).numpy()
    means = numbers[random.integers(numbers.size, size=(RESAMPLES, numbers.size))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(numbers.mean()), float(low), float(high)


def bootstrap_pairs(
    firsts: Sequence[str],
    lasts: Sequence[str],
    values: Sequence[float],
    *names: str,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Mean over pairs of networks with its percentile bootstrap interval.

    Pairs share networks and so are not independent: what is drawn again and again are the networks
    on both sides, and a pair counts as often as its two networks were drawn together.

    Args:
        firsts: the network on the first side of each pair.
        lasts: that on the other side.
        values: one number for each pair, each pair once.
        names: name the random stream of the resampling.
        level: coverage of the interval, between 0 and 1.

    Returns:
        As `mean_interval`; the bounds are NaN with fewer than two networks on a side.
    """
    sides = [np.unique(np.asarray(side), return_inverse=True) for side in (firsts, lasts)]
    (rows, row), (columns, column) = sides
    numbers = np.asarray(values, dtype=np.float64)
    mean = float(numbers.mean()) if numbers.size else math.nan
    if min(rows.size, columns.size) < 2:
        return mean, math.nan, math.nan
    table, there = np.zeros((2, rows.size, columns.size))
    table[row, column], there[row, column] = numbers, 1
    random = Stream("bootstrap", *names).numpy()
    left, right = (
        random.multinomial(size, np.full(size, 1 / size), size=RESAMPLES).astype(np.float64)
        for size in table.shape
    )
    sums, counts = (((left @ part) * right).sum(1) for part in (table, there))
    found = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return mean, float(low), float(high)


def spread_of_mean(rows: pd.DataFrame, unit: str, column: str) -> dict[str, float]:
    """How sure the mean of a column is, as columns of a table.

    Args:
        rows: with columns `unit`, `seed` and the column.
        unit: what is independent, such as `network`; seeds repeat the same units.
        column: whose mean it is.

    Returns:
        `<column>_low` and `<column>_high`, the 95 % interval of the mean over units, each the mean
        of its seeds; `<column>_spread`, the standard deviation over seeds of their means, NaN of
        one seed.
    """
    _, low, high = mean_interval(rows.groupby(unit)[column].mean())
    seeds = rows.groupby("seed")[column].mean()
    spread = float(seeds.std(ddof=1)) if len(seeds) > 1 else math.nan
    return {f"{column}_low": low, f"{column}_high": high, f"{column}_spread": spread}

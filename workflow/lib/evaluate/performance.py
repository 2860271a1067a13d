"""What tables of the space of one architecture say, for whoever reads them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

BANDS = 5  # equal parts of the range of accuracies


def bands(accuracies: np.ndarray, count: int = BANDS) -> np.ndarray:
    """Which of `count` equal parts of the range of all accuracies each lies in, from 0."""
    low, high = accuracies.min(), accuracies.max()
    return np.minimum((accuracies - low) / max(high - low, 1e-12) * count, count - 1).astype(int)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """One row for each method and embedder: what the latent keeps of held-out networks.

    `error` is mean |accuracy of the target - accuracy of what came back|; `correlation`, `r2` and
    `kendall_tau` compare the two accuracies over networks (NaN where all are the same);
    `agreement_K` is agreement in the K-th fifth of the range of target accuracies, from 1.
    """
    rows = []
    for (method, embedder), part in found.groupby(["method", "embedder"], sort=False):
        target, given = part["target_accuracy"].to_numpy(), part["accuracy"].to_numpy()
        constant = given.std() == 0 or target.std() == 0
        variance = ((target - target.mean()) ** 2).mean()
        row = {
            "method": method,
            "embedder": embedder,
            "networks": part["network"].nunique(),
            "seeds": part["seed"].nunique(),
            "error": np.abs(given - target).mean(),
            "correlation": np.nan if constant else np.corrcoef(target, given)[0, 1],
            "r2": 1 - ((given - target) ** 2).mean() / variance if variance else np.nan,
            "kendall_tau": np.nan if constant else stats.kendalltau(target, given).statistic,
            "agreement": part["agreement"].mean(),
            "agreement_other": part["agreement_other"].mean(),
            "compression": part["compression"].mean(),
        }
        fifth = bands(target)
        for k in range(BANDS):
            row[f"agreement_{k + 1}"] = (
                part["agreement"].to_numpy()[fifth == k].mean() if (fifth == k).any() else np.nan
            )
        rows.append(row)
    return pd.DataFrame(rows)


def barriers(frame: pd.DataFrame) -> pd.DataFrame:
    """What each walk loses in its middle: columns pair, ends, method, seed, barrier, midpoint.

    The barrier is the mean accuracy of the two ends of the walk minus the accuracy at the point
    nearest to its middle (Frankle et al. 2020, "Linear mode connectivity"); without a point in the
    middle, the two around it are averaged.
    """
    rows = []
    for (pair, ends, method, seed), walk in frame.groupby(
        ["pair", "ends", "method", "seed"], sort=False
    ):
        walk = walk.sort_values("gamma")
        away = (walk["gamma"] - 0.5).abs()
        middle = walk["accuracy"][away <= away.min() + 1e-6].mean()
        around = (walk["accuracy"].iloc[0] + walk["accuracy"].iloc[-1]) / 2
        rows.append((pair, ends, method, seed, around - middle, middle))
    return pd.DataFrame(rows, columns=["pair", "ends", "method", "seed", "barrier", "midpoint"])

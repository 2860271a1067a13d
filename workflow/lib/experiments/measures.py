"""What tables say, for whoever reads them: means of methods, barriers of walks, bands of accuracy.

Without torch, as pages read tables too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

BANDS = 5  # equal parts of the range of accuracies
WALK = ["pair", "ends", "method", "seed"]


def bands(accuracies: np.ndarray, count: int = BANDS) -> np.ndarray:
    """Which of `count` equal parts of the range of all accuracies each lies in, from 0."""
    low, high = accuracies.min(), accuracies.max()
    return np.minimum((accuracies - low) / max(high - low, 1e-12) * count, count - 1).astype(int)


def summary(found: pd.DataFrame, *within: str) -> pd.DataFrame:
    """One row for each method and embedder: what the latent keeps of held-out networks.

    `error` is mean |accuracy of the target - accuracy of what came back|; `correlation`, `r2` and
    `kendall_tau` compare the two accuracies over networks (NaN where all are the same);
    `agreement_K` is agreement in the K-th fifth of the range of target accuracies, from 1.

    Args:
        found: rows of `reconstruction.csv`.
        within: columns such as `architecture`, whose values are looked at one by one.
    """
    keys = [*within, "method", "embedder"]
    return pd.DataFrame(
        dict(zip(keys, key, strict=True)) | _summary(part)
        for key, part in found.groupby(keys, sort=False)
    )


def _summary(part: pd.DataFrame) -> dict[str, Any]:
    target, given = part["target_accuracy"].to_numpy(), part["accuracy"].to_numpy()
    agreement = part["agreement"].to_numpy()
    # Points between networks have no target, and so lie in no band.
    fifth = np.full(len(target), -1) if np.isnan(target).any() else bands(target)
    constant = not (given.std() > 0 and target.std() > 0)
    variance = ((target - target.mean()) ** 2).mean()
    return {
        "networks": part["network"].nunique(),
        "seeds": part["seed"].nunique(),
        "error": np.abs(given - target).mean(),
        "correlation": np.nan if constant else np.corrcoef(target, given)[0, 1],
        "r2": 1 - ((given - target) ** 2).mean() / variance if variance > 0 else np.nan,
        "kendall_tau": np.nan if constant else stats.kendalltau(target, given).statistic,
        "agreement": part["agreement"].mean(),
        "agreement_other": part["agreement_other"].mean(),
        "compression": part["compression"].mean(),
    } | {
        f"agreement_{k + 1}": agreement[fifth == k].mean() if (fifth == k).any() else np.nan
        for k in range(BANDS)
    }


def barriers(frame: pd.DataFrame) -> pd.DataFrame:
    """What each walk loses in its middle: columns pair, ends, method, seed, barrier, midpoint.

    The barrier is the mean accuracy of the two ends of the walk minus the accuracy at the point
    nearest to its middle (Frankle et al. 2020, "Linear mode connectivity"); without a point in the
    middle, the two around it are averaged.
    """
    rows = []
    for key, walk in frame.groupby(WALK, sort=False):
        walk = walk.sort_values("gamma")
        away = (walk["gamma"] - 0.5).abs()
        middle = walk["accuracy"][away <= away.min() + 1e-6].mean()
        around = (walk["accuracy"].iloc[0] + walk["accuracy"].iloc[-1]) / 2
        lost = {"barrier": around - middle, "midpoint": middle}
        rows.append(dict(zip(WALK, key, strict=True)) | lost)
    return pd.DataFrame(rows, columns=[*WALK, "barrier", "midpoint"])

"""The tables of variants: means over networks or shapes, their intervals, how far seeds differ."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.evaluate.performance import summary
from lib.evaluate.statistics import mean_interval

NETWORKS = ["variant", "trained_on", "latent_size", "split"]
SHAPES = ["variant", "trained_on", "warp", "split"]


def of_networks(found: pd.DataFrame) -> pd.DataFrame:
    """The table `singlearch/ablations.csv`: `performance.summary` of each variant and split.

    With it, for error and agreement, the 95 % interval of the mean over networks, each the mean of
    its seeds (`_low`, `_high`), and the standard deviation over seeds of their means (`_spread`;
    NaN of one seed).

    Args:
        found: the rows of all variants and seeds, as `single_ablation.scores` makes them.
    """
    found = found.assign(error=(found["accuracy"] - found["target_accuracy"]).abs())
    parts = []
    for key, rows in found.groupby(NETWORKS, sort=False):
        table = summary(rows).assign(**dict(zip(NETWORKS, key, strict=True)))
        for name in ("error", "agreement"):
            beside = [_beside(rows[rows["method"] == m], "network", name) for m in table["method"]]
            table = table.assign(**pd.DataFrame(beside))
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def of_shapes(found: pd.DataFrame) -> pd.DataFrame:
    """The table `shapes/ablations.csv`: one row for each variant and split.

    Mean IoU by method; `share`, that of the decoded field over the shape's own; `nearest_share`,
    the same of the nearest training shape; for `share` also what `of_networks` has for errors.

    Args:
        found: the rows of all variants and seeds, as `shape_ablation.scores` makes them.
    """
    rows = []
    for key, part in found.groupby(SHAPES, sort=False):
        by = part.pivot(index=["shape", "seed"], columns="method", values="iou")
        by = by.reindex(columns=["siren", "decoded", "nearest", "mean"])
        shares = (by["decoded"] / by["siren"]).rename("share").reset_index()
        counts = {"shapes": shares["shape"].nunique(), "seeds": shares["seed"].nunique()}
        means = {"share": shares["share"].mean(), **_beside(shares, "shape", "share")}
        near = {"nearest_share": (by["nearest"] / by["siren"]).mean()}
        named = dict(zip(SHAPES, key, strict=True))
        rows.append(named | counts | by.mean().to_dict() | means | near)
    return pd.DataFrame(rows)


def _beside(rows: pd.DataFrame, unit: str, name: str) -> dict[str, float]:
    _, low, high = mean_interval(rows.groupby(unit)[name].mean())
    seeds = rows.groupby("seed")[name].mean()
    spread = seeds.std(ddof=1) if len(seeds) > 1 else np.nan
    return {f"{name}_low": low, f"{name}_high": high, f"{name}_spread": spread}

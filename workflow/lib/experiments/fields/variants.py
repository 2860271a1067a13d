"""Variants of a space of fields, compared by the volume that decoded shapes share."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lib.config.spaces import FieldSpace
from lib.embed.product import Embedder
from lib.experiments.fields.reconstruction import stand_ins
from lib.experiments.statistics import spread_of_mean
from lib.experiments.task import Row
from lib.zoo.fields import Fields, iou
from lib.zoo.population import Population

KEY = ["variant", "trained_on", "warp", "split"]
METHODS = ["siren", "decoded", "nearest", "mean"]


def scores(
    embedder: Embedder,
    cfg: FieldSpace,
    zoo: Mapping[str, Population],
    at: Mapping[str, Fields],
    *,
    variant: str,
    seed: int,
) -> pd.DataFrame:
    """IoU of each shape with what stands for it, by split and method, without meshes.

    Args:
        embedder: of the variant.
        cfg: the space as the variant has it.
        zoo: fields by split; of the training fields those that the embedder was given.
        at: for each split, points evenly in the cube for its first fields, and whether these are
            inside of the shapes. What is chosen is to be chosen on the split `validation`.
        variant: its name.
        seed: of the embedder.

    Returns:
        Columns `shape, iou, method, split, variant, seed, trained_on, warp`; methods as in
        `stand_ins`, without the nearest training field for those that are it themselves.
    """
    parts = []
    for split, points in at.items():
        fields = zoo[split].first(len(points.flat))
        for method, flat in stand_ins(embedder, zoo["train"], fields).items():
            if split == "train" and method == "nearest":
                continue
            inside = fields.family.run_each(flat, points.uniform)[..., 0] < 0
            columns = {"shape": fields.frame["shape"], "iou": iou(inside, points.inside)}
            parts.append(pd.DataFrame(columns).assign(method=method, split=split))
    return pd.concat(parts, ignore_index=True).assign(
        variant=variant, seed=seed, trained_on=len(zoo["train"].flat), warp=cfg.warp
    )


def summary(scored: pd.DataFrame) -> pd.DataFrame:
    """The table `variants.csv`: one row for each variant and split.

    Mean IoU by method; `share`, that of the decoded field over the shape's own; `nearest_share`,
    the same of the nearest training shape. With it, for `share`, the 95 % interval of the mean over
    shapes, each the mean of its seeds (`share_low`, `share_high`), and the standard deviation over
    seeds of their means (`share_spread`; NaN of one seed).

    Args:
        scored: the rows of all variants and seeds, as `scores` makes them.
    """
    rows: list[Row] = []
    for key, part in scored.groupby(KEY, sort=False):
        by = part.pivot(index=["shape", "seed"], columns="method", values="iou")
        by = by.reindex(columns=METHODS)
        shares = (by["decoded"] / by["siren"]).rename("share").reset_index()
        counts = {"shapes": shares["shape"].nunique(), "seeds": shares["seed"].nunique()}
        means = {"share": shares["share"].mean(), **spread_of_mean(shares, "shape", "share")}
        near = {"nearest_share": (by["nearest"] / by["siren"]).mean()}
        named = dict(zip(KEY, key, strict=True))
        rows.append(named | counts | by.mean().to_dict() | means | near)
    return pd.DataFrame(rows)

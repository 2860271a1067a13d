"""Variants of the space of shapes, compared by the volume that decoded test shapes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.embed.product import Embedder
from lib.embed.shapes import Fields, iou
from lib.evaluate.shapes import compared
from lib.evaluate.statistics import mean_interval
from lib.population import Population


def scores(embedder: Embedder, train: Population, test: Population, at: Fields) -> pd.DataFrame:
    """IoU of each test shape with what stands for it, by method, without meshes.

    Args:
        embedder: of the variant.
        train: the training fields that it was given.
        test: test fields.
        at: those with points evenly in the cube, and whether these are inside of the shapes.

    Returns:
        Columns `shape, method, iou`; methods as in `compared`.
    """
    found = []
    for method, flat in compared(embedder, train, test).items():
        inside = test.space.run_each(flat, at.uniform)[..., 0] < 0
        own = {"shape": test.frame["shape"], "method": method, "iou": iou(inside, at.inside)}
        found.append(pd.DataFrame(own))
    return pd.concat(found, ignore_index=True)


def table(variants: Mapping[str, Sequence[pd.DataFrame]]) -> pd.DataFrame:
    """One row for each variant: mean IoU by method, and the decoded over the field's own.

    The interval of that ratio is over test shapes, each the mean of its seeds.
    """
    rows = []
    for variant, seeds in variants.items():
        means = pd.concat(seeds).groupby(["method", "shape"])["iou"].mean().unstack("method")
        ratio = (means["decoded"] / means["siren"]).to_numpy()
        _, low, high = mean_interval(ratio)
        shown = {name: means[name].mean() for name in ("siren", "decoded", "nearest", "mean")}
        rows.append({"variant": variant, **shown, "ratio": ratio.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)

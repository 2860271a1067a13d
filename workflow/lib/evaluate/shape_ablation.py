"""Variants of the space of shapes, compared by the volume that decoded shapes share."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lib.config import Shapes
from lib.embed.product import Embedder
from lib.evaluate.shapes import compared
from lib.zoo.fields import Fields, iou
from lib.zoo.population import Population

SPLITS = ("train", "validation", "test")


def scores(
    embedder: Embedder,
    variant: str,
    seed: int,
    cfg: Shapes,
    zoo: Mapping[str, Population],
    at: Mapping[str, Fields],
) -> pd.DataFrame:
    """IoU of each shape with what stands for it, by split and method, without meshes.

    Args:
        embedder: of the variant.
        variant: its name.
        seed: of the embedder.
        cfg: the variant's block.
        zoo: fields by split; of the training fields those that the embedder was given.
        at: for each split, points evenly in the cube for its first fields, and whether these are
            inside of the shapes. What is chosen is to be chosen on the split `validation`.

    Returns:
        Columns `shape, iou, method, split, variant, seed, trained_on, warp`; methods as in
        `compared`, without the nearest training field for those that are it themselves.
    """
    parts = []
    for split, points in at.items():
        some = zoo[split].first(len(points.flat))
        for method, flat in compared(embedder, zoo["train"], some).items():
            if split == "train" and method == "nearest":
                continue
            inside = some.family.run_each(flat, points.uniform)[..., 0] < 0
            own = {"shape": some.frame["shape"], "iou": iou(inside, points.inside)}
            parts.append(pd.DataFrame(own).assign(method=method, split=split))
    return pd.concat(parts, ignore_index=True).assign(
        variant=variant, seed=seed, trained_on=len(zoo["train"].flat), warp=cfg.warp
    )

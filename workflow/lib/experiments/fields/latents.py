"""A map of all shapes, by their latents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA

from lib.embed.product import Embedder
from lib.experiments.columns import FIELDS
from lib.experiments.task import SPLITS, FieldTask
from lib.zoo.population import Population


def run(task: FieldTask) -> pd.DataFrame:
    """The table `latent_map.csv`: a map of each embedder."""
    populations = [task.zoo[split] for split in SPLITS]
    maps = [latent_map(embedder, populations, seed) for seed, embedder in task.embedders.items()]
    return pd.concat(maps)[list(FIELDS["latent_map"])]


def latent_map(embedder: Embedder, populations: list[Population], seed: int) -> pd.DataFrame:
    """All shapes in two principal components of the training latents.

    Columns: `shape, split, iou` (of the field with its shape), `x, y, seed`.

    Args:
        embedder: a trained one.
        populations: fields of the splits, training first.
        seed: of the embedder.
    """
    (name,) = embedder.architectures
    with torch.no_grad():
        latents = [embedder.arm.encode(name, fields.flat).numpy() for fields in populations]
    places = PCA(2, svd_solver="full").fit(latents[0]).transform(np.concatenate(latents))
    frame = pd.concat([fields.frame[["shape", "split", "iou"]] for fields in populations])
    return frame.assign(x=places[:, 0], y=places[:, 1], seed=seed)

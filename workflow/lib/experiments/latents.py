"""All networks in the latent space: their latents, a map of them, PReps before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from lib.core.atomic import atomic_hdf5
from lib.embed.product import Embedder
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.decoding import predicted, run_predicted
from lib.experiments.task import SPLITS, Task, Zoo
from lib.nets.layout import to_prep

MAP_IMAGES = 256
PREP_ASPECT = 4  # pictures of PReps are this many times wider than high
KNOWN = ("network", "architecture", "split", "validation_accuracy")
TRAINED = ("epochs", "train_curve", "train_accuracy")  # told where the catalogue has them


def run(task: Task) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """The table `latent_map.csv`, and the latents [n, D] of its networks by `seed_<s>`.

    One row for each network and embedder, see `latent_map`.
    """
    tables, found = [], {}
    for seed, embedder in task.embedders.items():
        frame, latents = encode_all(embedder, [task.zoo[split] for split in SPLITS])
        x = task.images["train"].x[:MAP_IMAGES]
        tables.append(latent_map(embedder, frame, latents, x).assign(seed=seed))
        found[f"seed_{seed}"] = latents.to(torch.float32).cpu().contiguous()
    whole = pd.concat(tables, ignore_index=True)
    return whole[list(dict.fromkeys([*CLASSIFIERS["latent_map"], *whole]))], found


def encode_all(embedder: Embedder, zoo: Sequence[Zoo]) -> tuple[pd.DataFrame, Tensor]:
    """Catalogue rows of all networks, by architecture and split, and their latents [n, D]."""
    frames, latents = [], []
    with torch.no_grad():
        for name in embedder.architectures:
            for split in zoo:
                frames.append(split[name].frame)
                latents.append(embedder.arm.encode(name, split[name].flat))
    return pd.concat(frames, ignore_index=True), torch.cat(latents)


def latent_map(embedder: Embedder, frame: pd.DataFrame, latents: Tensor, x: Tensor) -> pd.DataFrame:
    """Networks in two dimensions, in two ways; directions are found on training networks alone.

    `x`, `y`: the directions in which the mean latents of the architectures differ most, filled up
    to two with those in which networks of the same architecture differ most. The principal
    components of all latents would show individuals only: they fill most of a latent.

    `answers_x`, `answers_y`: latents are near each other if the networks decoded from them answer
    alike. The axes are the first two principal components of the probabilities that those of the
    training networks give, turned so that accuracy rises along each; `explained_x`, `explained_y`
    is what they hold of the variance. (Latents of one architecture themselves would say nothing
    where an arm gives all numbers the same spread.)

    Args:
        embedder: made the latents.
        frame: catalogue rows of the networks.
        latents: their latents [n, D].
        x: training images [B, C, H, W] to answer.
    """
    train = (frame["split"] == "train").to_numpy()
    architectures = frame["architecture"].to_numpy()
    table = frame[[name for name in (*KNOWN, *TRAINED) if name in frame]].copy()
    table["predicted_architecture"] = predicted(embedder.arm, latents)
    table[["x", "y"]] = _by_architecture(latents.cpu().numpy(), train, architectures)
    answers = run_predicted(embedder.arm, latents, x)[1].softmax(-1).flatten(1)
    points = answers.cpu().double().numpy()
    pca = PCA(2, svd_solver="full").fit(points[train])
    places, scores = pca.transform(points), frame["validation_accuracy"].to_numpy()[train]
    places *= np.where((scores - scores.mean()) @ places[train] < 0, -1, 1)
    table[["answers_x", "answers_y"]] = places
    table["explained_x"], table["explained_y"] = pca.explained_variance_ratio_
    return table


def _by_architecture(
    points: np.ndarray, train: np.ndarray, architectures: np.ndarray
) -> np.ndarray:
    """Places [n, 2] of latents [n, D], those of the training networks being `train`."""
    known, names = points[train], architectures[train]
    means = {name: known[names == name].mean(0) for name in dict.fromkeys(names)}
    count, places = min(2, len(means) - 1), []
    if count:
        between = PCA(count, svd_solver="full").fit(np.stack(list(means.values())))
        places.append(between.transform(points))
    if count < 2:
        around = known - np.stack([means[name] for name in names])
        within = PCA(2 - count, svd_solver="full").fit(around)
        places.append(within.transform(points))
    return np.concatenate(places, axis=1)


def write_preps(path: str | Path, embedder: Embedder, test: Zoo) -> None:
    """PReps of the first test network of each architecture, original and decoded (HDF5)."""
    with atomic_hdf5(path) as file:
        for name, population in test.items():
            flat = population.flat[:1]
            with torch.no_grad():
                decoded = embedder.arm.decode(name, embedder.arm.encode(name, flat))
            height = math.ceil(math.sqrt(flat.shape[1] / PREP_ASPECT))
            width = math.ceil(flat.shape[1] / height)
            group = file.create_group(name)
            group.attrs["network"] = population.names[0]
            for label, values in (("original", flat), ("decoded", decoded)):
                group[label] = to_prep(values, height, width)[0].cpu().numpy()

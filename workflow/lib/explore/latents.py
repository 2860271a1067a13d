"""All networks in the latent space: their latents, a map of them, PReps before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from lib.core.atomic import atomic_hdf5
from lib.data.images import ImageSplit
from lib.embed.product import Embedder
from lib.nets.layout import to_prep
from lib.zoo.population import Population

MAP_IMAGES = 256
PREP_ASPECT = 4  # pictures of PReps are this many times wider than high


def encode_all(
    embedder: Embedder, zoo: Sequence[Mapping[str, Population]]
) -> tuple[pd.DataFrame, Tensor]:
    """Catalogue rows of all networks, by architecture and split, and their latents [n, D]."""
    frames, latents = [], []
    with torch.no_grad():
        for name in embedder.architectures:
            for split in zoo:
                frames.append(split[name].frame)
                latents.append(embedder.arm.encode(name, split[name].flat))
    return pd.concat(frames, ignore_index=True), torch.cat(latents)


def latent_map(embedder: Embedder, frame: pd.DataFrame, latents: Tensor, seed: int) -> pd.DataFrame:
    """The table `latent_map.csv`: two directions found on the training networks alone.

    They are those in which the mean latents of the architectures differ most; with only two
    architectures, the second is that in which networks of the same architecture differ most. The
    principal components of all latents would show individuals only: they fill most of a latent.
    """
    points, train = latents.cpu().numpy(), (frame["split"] == "train").to_numpy()
    known, names = points[train], frame["architecture"].to_numpy()[train]
    means = {name: known[names == name].mean(0) for name in embedder.architectures}
    count = min(2, len(means) - 1)
    between = PCA(count, svd_solver="full").fit(np.stack(list(means.values())))
    within = PCA(1, svd_solver="full").fit(known - np.stack([means[name] for name in names]))
    places = np.concatenate([between.transform(points), within.transform(points)], axis=1)
    with torch.no_grad():
        classes = embedder.arm.classify(latents).argmax(-1).tolist()
    table = frame[["network", "architecture", "split", "validation_accuracy"]].copy()
    table["predicted_architecture"] = [embedder.architectures[k] for k in classes]
    table["x"], table["y"], table["seed"] = places[:, 0], places[:, 1], seed
    return table


def write_preps(path: str | Path, embedder: Embedder, test: Mapping[str, Population]) -> None:
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


def performance_map(
    embedder: Embedder, frame: pd.DataFrame, latents: Tensor, images: ImageSplit, seed: int
) -> pd.DataFrame:
    """The table `singlearch/latent_map.csv`: networks of one architecture in two dimensions.

    Latents are near each other if the networks decoded from them answer alike: the axes are the
    first two principal components of the probabilities that those of the training networks give on
    `MAP_IMAGES` training images, turned so that accuracy rises along each. (Those of the latents
    themselves would say nothing where an arm gives all numbers the same spread.)

    Args:
        embedder: an embedder of one architecture.
        frame: catalogue rows of the networks.
        latents: their latents [n, D].
        images: training images.
        seed: the embedder's.
    """
    (name,) = embedder.architectures
    with torch.no_grad():
        flat = embedder.arm.decode(name, latents)
    outputs = embedder.arm.families[name].predict(flat, images.x[:MAP_IMAGES])
    points = outputs.softmax(-1).flatten(1).cpu().double().numpy()
    train = (frame["split"] == "train").to_numpy()
    pca = PCA(2, svd_solver="full").fit(points[train])
    places, scores = pca.transform(points), frame["validation_accuracy"].to_numpy()[train]
    places *= np.where((scores - scores.mean()) @ places[train] < 0, -1, 1)
    known = ("network", "split", "epochs", "train_curve", "train_accuracy", "validation_accuracy")
    table = frame[[column for column in known if column in frame]].copy()
    table["x"], table["y"], table["seed"] = places[:, 0], places[:, 1], seed
    table["explained_x"], table["explained_y"] = pca.explained_variance_ratio_
    return table

"""All networks in the latent space: their latents, a map of them, PReps before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from lib.embed.product import Embedder
from lib.population import Population
from lib.prep import to_prep
from lib.repro import atomic

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
    """The table `latent_map.csv`: the first two principal components of the training latents."""
    points = latents.cpu().numpy()
    fitted = PCA(2, svd_solver="full").fit(points[(frame["split"] == "train").to_numpy()])
    places = fitted.transform(points)
    with torch.no_grad():
        classes = embedder.arm.classify(latents).argmax(-1).tolist()
    table = frame[["network", "architecture", "split", "validation_accuracy"]].copy()
    table["predicted_architecture"] = [embedder.architectures[k] for k in classes]
    table["x"], table["y"], table["seed"] = places[:, 0], places[:, 1], seed
    return table


def write_preps(path: str | Path, embedder: Embedder, test: Mapping[str, Population]) -> None:
    """PReps of the first test network of each architecture, original and decoded (HDF5)."""
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
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

"""Test shapes after encoding and decoding, as meshes against their originals, with the controls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.data import meshing
from lib.data.meshes import read_mesh, write_mesh
from lib.data.meshing import Meshed
from lib.embed.product import Embedder
from lib.engine.family import Family
from lib.evaluate.mesh_metrics import Surface, compare
from lib.zoo.population import Population


@torch.no_grad()
def compared(embedder: Embedder, train: Population, test: Population) -> dict[str, Tensor]:
    """Fields [n, P] that stand for each test shape, by method.

    `siren`: its own field, the best that can be; `decoded`: what comes back from its latent;
    `nearest`: the field of the training shape of the nearest latent; `mean`: the mean of the
    weights of all training fields, the same for every shape.
    """
    arm, (name,) = embedder.arm, embedder.architectures
    latents, known = arm.encode(name, test.flat), arm.encode(name, train.flat)
    return {
        "siren": test.flat,
        "decoded": arm.decode(name, latents),
        "nearest": train.flat[torch.cdist(latents, known).argmin(1)],
        "mean": train.flat.mean(0).expand_as(test.flat),
    }


def meshes(family: Family, flat: Tensor, resolution: int) -> Iterator[Meshed]:
    """Meshes of the zero sets of fields [n, P], in order; one without a surface has no vertices."""

    @torch.no_grad()
    def values(which: np.ndarray, points: np.ndarray) -> np.ndarray:
        return family.run_each(flat[which], torch.from_numpy(points))[..., 0].numpy()

    return meshing.mesh(values, len(flat), resolution)


def surfaces(folder: str | Path, names: Iterable[str]) -> list[Surface]:
    """The meshes `<name>.ply` of a folder, ready to be compared."""
    return [Surface(*read_mesh(Path(folder) / f"{name}.ply"), name) for name in names]


def keep(folder: str | Path, made: Mapping[str, Meshed]) -> None:
    """Write meshes as `<name>.ply` into a folder, which is made."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, mesh in made.items():
        write_mesh(Path(folder) / f"{name}.ply", mesh.vertices, mesh.faces)


def rows(
    found: Mapping[str, list[Meshed]], originals: Sequence[Surface], **columns: Any
) -> Iterator[dict[str, Any]]:
    """Rows of `reconstruction.csv`: each method's mesh of each shape against the original.

    Args:
        found: by method, a mesh of each shape.
        originals: the meshes that the fields were trained on, called by the names of the shapes.
        columns: further columns, the same in all rows.
    """
    for method, made in found.items():
        for mesh, original in zip(made, originals, strict=True):
            surface = Surface(mesh.vertices, mesh.faces, f"{method}-{original.name}")
            scores = compare(surface, original)
            yield {"shape": original.name, "method": method, **columns, **scores._asdict()}

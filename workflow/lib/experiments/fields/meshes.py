"""Meshes of fields: made, written, read, compared with originals, described where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib.data import meshing
from lib.data.meshes import read_mesh, write_mesh
from lib.data.meshing import Meshed
from lib.engine.family import Family
from lib.experiments.mesh_metrics import Surface, chamfer, compare
from lib.experiments.task import Row

SHORTLIST, STRIDE = 5, 10  # of training shapes; of the points on a surface


def meshes(family: Family, flat: Tensor, resolution: int) -> Iterator[Meshed]:
    """Meshes of the zero sets of fields [n, P], in order; one without a surface has no vertices."""

    @torch.no_grad()
    def values(which: np.ndarray, points: np.ndarray) -> np.ndarray:
        return family.run_each(flat[which], torch.from_numpy(points))[..., 0].numpy()

    return meshing.mesh(values, len(flat), resolution)


def surfaces(folder: str | Path, names: Iterable[str]) -> list[Surface]:
    """The meshes `<name>.ply` of a folder, ready to be compared."""
    return [Surface(*read_mesh(Path(folder) / f"{name}.ply"), name) for name in names]


def write(folder: str | Path, made: Mapping[str, Meshed]) -> None:
    """Write meshes as `<name>.ply` into a folder, which is made."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, mesh in made.items():
        write_mesh(Path(folder) / f"{name}.ply", mesh.vertices, mesh.faces)


def score_rows(made: Mapping[str, Sequence[Meshed]], originals: Sequence[Surface]) -> Iterator[Row]:
    """Rows `shape, method` and scores: each method's mesh of each shape against the original.

    Args:
        made: by method, a mesh of each shape.
        originals: the meshes that the fields were trained on, named as the shapes are.
    """
    for method, found in made.items():
        for mesh, original in zip(found, originals, strict=True):
            surface = Surface(mesh.vertices, mesh.faces, f"{method}-{original.name}")
            scores = compare(surface, original)
            yield {"shape": original.name, "method": method, **scores._asdict()}


class Known:
    """Training shapes that the one nearest to a mesh is looked for among."""

    def __init__(self, surfaces: Sequence[Surface]) -> None:
        from scipy.spatial import cKDTree

        self.surfaces = list(surfaces)
        self._trees = [cKDTree(surface.samples[0]) for surface in surfaces]

    def nearest(self, surface: Surface) -> tuple[str, float]:
        """Name of the shape of the smallest Chamfer distance, and that.

        It is measured to the `SHORTLIST` shapes that are nearest by few points of the surfaces.
        """
        few = surface.samples[0][::STRIDE]
        near = [tree.query(few)[0].mean() for tree in self._trees]
        chosen = [self.surfaces[k] for k in np.argsort(near, kind="stable")[:SHORTLIST]]
        distances = [chamfer(surface, other) for other in chosen]
        return chosen[int(np.argmin(distances))].name, min(distances)

    def describe(self, mesh: Meshed, name: str) -> Row:
        """What can be said of a mesh that stands for no shape in particular.

        Returns:
            `volume` inside, in the units of the shapes; `parts`, how many pieces its surface has;
            `nearest`, the training shape of the smallest Chamfer distance, and that `chamfer`;
            empty and NaN where there is no surface.
        """
        if not len(mesh.faces):
            return {"volume": 0.0, "parts": 0, "nearest": "", "chamfer": np.nan}
        nearest, distance = self.nearest(Surface(mesh.vertices, mesh.faces, name))
        size, count = volume(mesh.vertices, mesh.faces), parts(mesh.faces)
        return {"volume": size, "parts": count, "nearest": nearest, "chamfer": distance}


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """What a closed mesh holds, from the tetrahedra of its triangles and the origin."""
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.abs(np.einsum("fd,fd->f", a, np.cross(b, c)).sum()) / 6)


def parts(faces: np.ndarray) -> int:
    """How many pieces triangles [F, 3] make, by the vertices that they share."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    used, numbers = np.unique(faces, return_inverse=True)
    numbers = numbers.reshape(-1, 3)
    ends = np.concatenate([numbers[:, [0, 1]], numbers[:, [1, 2]]])
    links = coo_matrix((np.ones(len(ends)), ends.T), (len(used), len(used)))
    return int(connected_components(links, directed=False)[0])

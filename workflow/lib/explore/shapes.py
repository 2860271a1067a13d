"""In the space of shapes: a map, walks between test shapes, and new shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from lib.config import ShapeExploration
from lib.core.repro import generator
from lib.data.meshing import Meshed
from lib.embed.multiarch import mix
from lib.embed.product import Embedder
from lib.evaluate.mesh_metrics import Surface, chamfer
from lib.zoo.population import Population

SHORTLIST, STRIDE = 5, 10  # of training shapes; of the points on a surface
VARIANCE = 0.95  # of the training latents, that new latents are drawn in


def latent_map(embedder: Embedder, populations: Sequence[Population], seed: int) -> pd.DataFrame:
    """The table `latent_map.csv`: all shapes in two principal components of the training latents.

    Columns: `shape, split, iou` (of the field with its shape), `x, y, seed`.

    Args:
        embedder: a trained one.
        populations: fields of the splits, training first.
        seed: of the embedder.
    """
    (name,) = embedder.architectures
    with torch.no_grad():
        latents = [embedder.arm.encode(name, own.flat).numpy() for own in populations]
    places = PCA(2, svd_solver="full").fit(latents[0]).transform(np.concatenate(latents))
    frame = pd.concat([own.frame[["shape", "split", "iou"]] for own in populations])
    return frame.assign(x=places[:, 0], y=places[:, 1], seed=seed)


def pairs_of(latents: Tensor, count: int) -> list[tuple[int, int]]:
    """Pairs of test shapes to walk between, no shape in two: those furthest apart first.

    Args:
        latents: of the test shapes [n, D].
        count: how many pairs, at most n // 2.
    """
    far = torch.cdist(latents, latents)
    order = sorted(combinations(range(len(latents)), 2), key=lambda pair: -far[pair].item())
    found: list[tuple[int, int]] = []
    for pair in order:
        if len(found) < count and not {*pair} & {i for other in found for i in other}:
            found.append(pair)
    return found


@torch.no_grad()
def walks(
    embedder: Embedder, cfg: ShapeExploration, test: Population
) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Fields [P] on the ways between pairs of test shapes, each with what it is.

    `latent`: decoded from the points between the latents, the ends included; `weights`: the points
    between the weights themselves, whose ends are the shapes' own fields.
    """
    (name,) = embedder.architectures
    latents = embedder.arm.encode(name, test.flat)
    for number, (i, j) in enumerate(pairs_of(latents, cfg.pairs)):
        for point in range(cfg.points):
            gamma = point / (cfg.points - 1)
            ends = {"first": test.frame["shape"][i], "last": test.frame["shape"][j]}
            row = {"pair": number, **ends, "point": point, "gamma": gamma}
            between = mix(latents[i], latents[j], gamma)
            yield row | {"method": "latent"}, embedder.arm.decode(name, between[None])[0]
            yield row | {"method": "weights"}, mix(test.flat[i], test.flat[j], gamma)


@torch.no_grad()
def samples(embedder: Embedder, names: tuple, count: int, train: Population) -> dict[str, Tensor]:
    """New fields [n, P], by how they were drawn.

    `latent`: decoded from a normal distribution in the principal components of the training
    latents that hold `VARIANCE` of their variance; `weights`: from a normal distribution in those
    of the training weights, as a control.

    Args:
        embedder: a trained one.
        names: names of the random stream.
        count: how many of each.
        train: training fields.
    """
    (name,) = embedder.architectures
    latents = embedder.arm.encode(name, train.flat)
    rng = generator(*names)
    drawn = _normal(latents, count, rng)
    return {
        "latent": embedder.arm.decode(name, drawn),
        "weights": _normal(train.flat, count, rng),
    }


def _normal(known: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Draws [count, D] from the normal distribution of known points [n, D], in few directions."""
    mean = known.mean(0)
    _, spread, axes = torch.linalg.svd((known - mean).double(), full_matrices=False)
    share = spread.square().cumsum(0) / spread.square().sum()
    few = int((share < VARIANCE).sum()) + 1
    way = torch.randn(count, few, generator=rng, dtype=torch.float64) * spread[:few]
    return mean + (way @ axes[:few] / max(len(known) - 1, 1) ** 0.5).to(known.dtype)


class Known:
    """Training shapes that a mesh is looked for among."""

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
        found = [chamfer(surface, other) for other in chosen]
        return chosen[int(np.argmin(found))].name, min(found)


def described(mesh: Meshed, name: str, known: Known) -> dict[str, Any]:
    """What can be said of a mesh that stands for no shape in particular.

    Returns:
        `volume` inside, in the units of the shapes; `parts`, how many pieces its surface has;
        `nearest`, the training shape of the smallest Chamfer distance, and that `chamfer`; empty
        and NaN where there is no surface.
    """
    if not len(mesh.faces):
        return {"volume": 0.0, "parts": 0, "nearest": "", "chamfer": np.nan}
    nearest, distance = known.nearest(Surface(mesh.vertices, mesh.faces, name))
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

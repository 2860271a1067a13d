"""How alike two closed meshes are: Chamfer distance, F-score, volumetric IoU, normal consistency.

Distances are Euclidean, not squared, and go from points sampled on one surface to the other surface
itself (open3d's closest points), not to samples of it: two equal meshes are at distance zero, and
no number depends on how densely the other is sampled. Of surfaces A and B, with 10,000 points a
spread evenly over A and as many b over B:

- Chamfer distance: (mean d(a, B) + mean d(b, A)) / 2;
- F-score at t (Knapitsch et al. 2017): harmonic mean of the share of a with d(a, B) < t and the
  share of b with d(b, A) < t;
- normal consistency (Mescheder et al. 2019): the mean over a and b, weighed half each, of |cosine|
  between the normal at a point and the one where the other surface is nearest;
- IoU: of 100,000 uniform points in the box around both, those inside both over those inside either.
  Points outside of that box are in neither body, so it is the IoU over [-1, 1]^3, only sharper.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from lib.core.streams import Stream
from lib.data.solid import Solid

SURFACE_POINTS = 10_000
VOLUME_POINTS = 100_000
THRESHOLDS = (0.01, 0.02)  # of a shape that is 1.8 long


class MeshScores(NamedTuple):
    """The columns `columns.SCORES`: how alike a mesh and the original are."""

    chamfer: float
    fscore_001: float
    fscore_002: float
    iou: float
    normal_consistency: float


class Surface:
    """A mesh ready to be compared with others; what is sampled depends on its `name` alone."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, name: str, threads: int = 1):
        self.name = name
        self.solid = Solid(vertices, faces, threads) if len(faces) else None

    @cached_property
    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Points `[10000, 3]` on it and the normals there; of no surface, the origin alone."""
        if self.solid is None:
            return np.zeros((1, 3), np.float32), np.zeros((1, 3))
        rng = Stream("mesh metrics", "surface", self.name).numpy()
        return self.solid.surface(SURFACE_POINTS, rng)

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances `[n]` of points `[n, 3]` to it and its normals there."""
        if self.solid is None:
            return np.linalg.norm(points, axis=1), np.zeros_like(points)
        return self.solid.nearest(points)


def compare(mesh: Surface, original: Surface) -> MeshScores:
    """Scores of a mesh against the original, as the module defines them.

    A mesh without faces scores zero, and its Chamfer distance is that of the origin to the other.
    """
    ways = []
    for one, other in ((mesh, original), (original, mesh)):
        points, normals = one.samples
        distances, there = other.nearest(points)
        ways.append((distances, np.abs(np.einsum("nd,nd->n", normals, there))))
    (to, along), (back, against) = ways
    both = mesh.solid is not None and original.solid is not None
    fscores = [_fscore(np.mean(to < t), np.mean(back < t)) if both else 0.0 for t in THRESHOLDS]
    return MeshScores(
        float(to.mean() + back.mean()) / 2,
        *fscores,
        iou(mesh, original),
        float(along.mean() + against.mean()) / 2,
    )


def chamfer(one: Surface, other: Surface) -> float:
    """The Chamfer distance alone, as the module defines it."""
    ways = (a.nearest(b.samples[0])[0].mean() for a, b in ((one, other), (other, one)))
    return float(sum(ways)) / 2


def iou(one: Surface, other: Surface) -> float:
    """Volumetric intersection over union; 0 where neither has anything inside."""
    if one.solid is None or other.solid is None:
        return 0.0
    corners = np.concatenate([one.solid.vertices, other.solid.vertices])
    rng = Stream("mesh metrics", "volume", one.name, other.name).numpy()
    points = rng.uniform(corners.min(0), corners.max(0), (VOLUME_POINTS, 3)).astype(np.float32)
    a, b = one.solid.inside(points), other.solid.inside(points)
    return float(np.sum(a & b) / max(np.sum(a | b), 1))


def _fscore(precision: float, recall: float) -> float:
    return float(2 * precision * recall / max(precision + recall, 1e-12))

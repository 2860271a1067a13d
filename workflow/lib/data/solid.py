"""A body given by its surface: what is inside, how far it is, points on it (open3d's rays)."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from lib.data.parts import layers

# Oblique to every axis, as rays along them run inside the sides of furniture and of voxels.
DIRECTIONS = np.array(
    [(0.29, 0.53, 0.80), (-0.31, -0.47, -0.83), (0.13, -0.91, 0.39)], dtype=np.float32
)
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
FURTHER = np.roll(DIRECTIONS, 1, axis=1)[[0, 0, 1, 2]] * np.float32(
    [(1, 1, 1), (-1, 1, -1), (1, -1, 1), (-1, -1, 1)]
)


class Solid:
    """Rays and distances around triangles: vertices `[V, 3]`, faces `[F, 3]`, at least one.

    Inside is where the winding number is not zero, so parts may overlap. Each point has its own
    rays: results depend neither on the number of threads nor on the other points asked for.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, threads: int = 1):
        import open3d

        self._tensor, self._threads = open3d.core.Tensor, threads
        self.vertices = np.ascontiguousarray(vertices, dtype=np.float32)
        self.faces = np.ascontiguousarray(faces, dtype=np.int32)
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=threads)
        groups = layers(self.vertices, self.faces)
        self._place, self._start = np.concatenate(groups), [0]
        for group in groups:
            self._scene.add_triangles(
                self._tensor(self.vertices), self._tensor(self.faces[group].astype(np.uint32))
            )
            self._start.append(self._start[-1] + len(group))

    def _faces_of(self, found: dict) -> np.ndarray:
        """Numbers of the triangles that open3d found, by its numbers of geometries and in them."""
        start = np.asarray(self._start)[found["geometry_ids"].numpy()]
        return self._place[start + found["primitive_ids"].numpy()]

    @cached_property
    def normals(self) -> np.ndarray:
        """Unit normals `[F, 3]` float64 of the triangles; zero where one has no area."""
        return self._crossed / np.maximum(np.linalg.norm(self._crossed, axis=1), 1e-30)[:, None]

    @cached_property
    def _crossed(self) -> np.ndarray:
        a, b, c = (self.vertices[self.faces[:, i]].astype(np.float64) for i in range(3))
        return np.cross(b - a, c - a)

    def winding(self, points: np.ndarray, direction: np.ndarray = DIRECTIONS[0]) -> np.ndarray:
        """Winding numbers `[n]` int64 of the surface around points `[n, 3]`, along one ray each.

        It is how often the ray leaves the surface less how often it enters. Of a closed surface
        it does not depend on the direction.
        """
        rays, faces = self._hits(points, direction)
        leaves = np.sign(self.normals[faces] @ direction)
        count = np.bincount(rays, weights=leaves, minlength=len(points))
        return np.rint(count).astype(np.int64)

    def _hits(self, points: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which points' rays meet which triangles."""
        points = np.asarray(points, dtype=np.float32)
        rays = np.concatenate([points, np.broadcast_to(direction, points.shape)], axis=1)
        hits = self._scene.list_intersections(
            self._tensor(rays.astype(np.float32)), nthreads=self._threads
        )
        return hits["ray_ids"].numpy(), self._faces_of(hits)

    def behind_odd(self, points: np.ndarray) -> np.ndarray:
        """Which points are behind an odd number of faces, whichever way those are turned.

        By most of three rays; where faces are turned anyhow, it is what is inside.
        """
        odd = [
            np.bincount(self._hits(points, way)[0], minlength=len(points)) % 2 for way in DIRECTIONS
        ]
        return np.sum(odd, axis=0) > 1

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Which of the points `[n, 3]` are inside, by two of three rays (one may hit an edge)."""
        first, second = (self.winding(points, way) != 0 for way in DIRECTIONS[:2])
        split = np.flatnonzero(first != second)
        if len(split):
            first[split] = self.winding(np.asarray(points)[split], DIRECTIONS[2]) != 0
        return first

    def surely_inside(self, points: np.ndarray) -> np.ndarray:
        """Which of the points are inside, by all three rays, or most of seven where they differ.

        For surfaces with cracks, which one ray in some thousands slips through.
        """
        votes = sum((self.winding(points, way) != 0).astype(int) for way in DIRECTIONS)
        inside, split = votes == 3, np.flatnonzero(votes % 3)
        if len(split):
            own = np.asarray(points)[split]
            more = sum((self.winding(own, way) != 0).astype(int) for way in FURTHER)
            inside[split] = votes[split] + more > (len(DIRECTIONS) + len(FURTHER)) / 2
        return inside

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distance `[n]` float32 of points `[n, 3]` to the surface, without a sign."""
        points = self._tensor(np.ascontiguousarray(points, dtype=np.float32))
        return self._scene.compute_distance(points, nthreads=self._threads).numpy()

    def signed_distance(self, points: np.ndarray) -> np.ndarray:
        """Distance `[n]` float32 of points `[n, 3]` to the surface, negative inside."""
        return np.where(self.inside(points), -1, 1).astype(np.float32) * self.distance(points)

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances `[n]` to the surface and the normals `[n, 3]` where it is nearest."""
        points = np.ascontiguousarray(points, dtype=np.float32)
        found = self._scene.compute_closest_points(self._tensor(points), nthreads=self._threads)
        distances = np.linalg.norm(found["points"].numpy() - points, axis=1)
        return distances, self.normals[self._faces_of(found)]

    def surface(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points `[count, 3]` float32 spread evenly over the surface, and its normals there."""
        area = np.cumsum(np.linalg.norm(self._crossed, axis=1))
        which = np.searchsorted(area, rng.random(count) * area[-1], side="right")
        which = np.minimum(which, len(self.faces) - 1)
        root, share = np.sqrt(rng.random(count)), rng.random(count)
        weights = np.stack([1 - root, root * (1 - share), root * share], axis=1)
        points = np.einsum("nc,ncd->nd", weights, self.vertices[self.faces[which]])
        return points.astype(np.float32), self.normals[which]


def closed(faces: np.ndarray) -> bool:
    """Whether a surface `[F, 3]` has no border: every edge is walked as often there as back."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    side = int(edges.max(initial=0)) + 1
    there, back = edges @ np.array([side, 1]), edges @ np.array([1, side])
    return np.array_equal(np.sort(there), np.sort(back))


def solid_angle_winding(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Winding numbers `[n]` of any surface around points `[n, 3]`, whole where it is closed.

    The sum of solid angles of all triangles (Jacobson, Kavan, Sorkine-Hornung 2013, section 4;
    Van Oosterom, Strackee 1983): exact, but each point takes as long as there are triangles.
    """
    corners = np.asarray(vertices, np.float64)[faces]
    windings = np.empty(len(points))
    for index, point in enumerate(np.asarray(points, np.float64)):
        a, b, c = np.moveaxis(corners - point, 1, 0)
        la, lb, lc = (np.linalg.norm(way, axis=1) for way in (a, b, c))
        volume = np.einsum("nd,nd->n", a, np.cross(b, c))
        ab, bc, ca = (np.einsum("nd,nd->n", x, y) for x, y in ((a, b), (b, c), (c, a)))
        angles = np.arctan2(volume, la * lb * lc + ab * lc + bc * la + ca * lb)
        windings[index] = angles.sum() / (2 * np.pi)
    return windings

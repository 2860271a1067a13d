"""Faces with any number of corners, cut into triangles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def triangles(
    vertices: np.ndarray, sizes: np.ndarray, corners: np.ndarray
) -> tuple[np.ndarray, int]:
    """Triangles `[F, 3]` int32 of polygons, and how many faces had fewer than three corners.

    Args:
        vertices: `[V, 3]`.
        sizes: how many corners each face has.
        corners: the vertices of all faces, one face after another.
    """
    corners = np.clip(corners, -1, np.iinfo(np.int32).max)
    starts = np.cumsum(sizes) - sizes
    found = []
    for size in np.unique(sizes[sizes > 2]).tolist():
        rows = np.flatnonzero(sizes == size)
        own = corners[starts[rows, None] + np.arange(size)]
        if size == 3:
            found.append((rows, own[:, None]))
            continue
        fans = np.stack([own[:, [0, k, k + 1]] for k in range(1, size - 1)], axis=1)
        inside = (own >= 0).all() and (own < len(vertices)).all()  # else it is refused later
        for row in np.flatnonzero(~_fan_is_right(vertices, fans)) if inside else ():
            fans[row] = _ears(vertices, own[row].tolist())
        found.append((rows, fans))
    if not found:
        return np.zeros((0, 3), np.int32), int((sizes < 3).sum())
    order = np.concatenate([np.repeat(rows, fans.shape[1]) for rows, fans in found])
    every = np.concatenate([fans.reshape(-1, 3) for _, fans in found])
    every = every[np.argsort(order, kind="stable")]
    return every.astype(np.int32), int((sizes < 3).sum())


def strips(corners: Sequence[int]) -> np.ndarray:
    """Triangles `[F, 3]` of triangle strips, one after another, with -1 between them."""
    found, strip = [], []
    for corner in corners:
        if corner < 0:
            strip = []
            continue
        strip.append(corner)
        if len(strip) > 2:
            a, b, c = strip[-3:]
            found.append((a, b, c) if len(strip) % 2 else (b, a, c))
    return np.array(found, np.int32).reshape(-1, 3)


def _fan_is_right(vertices: np.ndarray, fans: np.ndarray) -> np.ndarray:
    """Whether all triangles of a fan `[n, F, 3]` look the way of the whole face: it is convex."""
    a, b, c = (vertices[fans[:, :, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    whole = normals.sum(axis=1, keepdims=True)
    return ((normals * whole).sum(axis=2) >= 0).all(axis=1)


def _ears(vertices: np.ndarray, face: list[int]) -> np.ndarray:
    """Triangles of a polygon that is not convex: corners are cut off one by one.

    It is looked at along its mean normal. A corner is cut off where it points outwards and no other
    corner lies in the triangle; of several, the one with the most room, so that no triangle is
    without area while there are others.
    """
    points = vertices[face] - vertices[face[0]]
    points = points / max(np.abs(points).max(), 1e-300)
    after = np.roll(points, -1, axis=0)
    normal = np.cross(points, after).sum(axis=0)
    axis = int(np.argmin(np.abs(normal)))
    normal = normal / max(np.linalg.norm(normal), 1e-300)
    along = np.cross(normal, np.eye(3)[axis])
    flat = np.stack([points @ along, points @ np.cross(normal, along)], axis=1)
    left, found = list(range(len(face))), []
    while len(left) > 3:
        size = len(left)
        at = [(left[k - 1], left[k], left[(k + 1) % size]) for k in range(size)]
        best = max(range(size), key=lambda k: _room(flat, at[k], left))
        found.append(at[best])
        left.pop(best)
    found.append(tuple(left))
    return np.array(face)[np.array(found)]


def _room(flat: np.ndarray, ear: tuple[int, int, int], left: list[int]) -> tuple[bool, float]:
    """Whether a corner can be cut off, and the smallest height of the triangle it leaves."""
    a, b, c = flat[list(ear)]
    area = _cross(b - a, c - a)
    longest = max(np.hypot(*(b - a)), np.hypot(*(c - b)), np.hypot(*(a - c)), 1e-300)
    others = flat[[k for k in left if k not in ear]]
    sides = [_cross(q - p, others - p) for p, q in ((a, b), (b, c), (c, a))]
    corner = (others[:, None] == flat[list(ear)][None]).all(axis=2).any(axis=1)
    empty = not (np.all([side >= 0 for side in sides], axis=0) & ~corner).any()
    return bool(area >= 0 and empty), round(float(area / longest), 6)


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]

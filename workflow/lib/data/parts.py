"""Parts of a surface: what is connected, what lies on something else, what is no outside at all."""

from __future__ import annotations

import numpy as np

MOST_PARTS, MOST_LAYERS = 2000, 24
NEAR = 1e-4  # of a mesh in [-1, 1]^3: how far to both sides of a triangle one looks
PIECE = 0.1  # longest edge of the pieces of triangles that are looked at


def layers(vertices: np.ndarray, faces: np.ndarray) -> list[np.ndarray]:
    """Numbers of the triangles in layers: parts of the same layer do not touch each other.

    A part is what is connected by edges that two triangles have, and if there are several, also
    what looks the same way along each axis: the two sides of a sheet are two layers. One clean
    part is one layer. There are few layers; where more would be needed, the last holds the rest.
    Loose triangles are one layer.
    """
    label = _connected(faces)
    if label.max(initial=0) == 0 or 2 * label.max() >= len(faces):
        return [np.arange(len(faces))]
    crossed = np.cross(*(vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2)))
    key = (crossed > 0) @ (1, 2, 4)
    if label.max() < MOST_PARTS:
        layer = _apart(vertices, faces, label)
        if layer.max() == 0:
            return [np.arange(len(faces))]
        key = layer[label] * 8 + key
    return [np.flatnonzero(key == own) for own in np.unique(key)]


def _apart(vertices: np.ndarray, faces: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The layer of each part: the first with no part whose box touches its own."""
    corners = vertices[faces]
    low = np.full((label.max() + 1, 3), np.inf)
    high = -low
    np.minimum.at(low, label, corners.min(axis=1))
    np.maximum.at(high, label, corners.max(axis=1))
    layer = np.zeros(len(low), np.int64)
    taken: list[list[int]] = []
    for part in range(len(low)):
        for index, others in enumerate(taken):
            touch = (low[part] <= high[others]).all(1) & (low[others] <= high[part]).all(1)
            if not touch.any() or index == MOST_LAYERS - 1:
                break
        else:
            index = len(taken)
            taken.append([])
        taken[index].append(part)
        layer[part] = index
    return layer


def pieces(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles `[n, 3, 3]` cut in halves until no edge is longer than `PIECE`, and whose they are.

    They cover the same surface, but their corners need not meet.
    """
    corners, owner = vertices[faces].astype(np.float64), np.arange(len(faces))
    done: list[tuple[np.ndarray, np.ndarray]] = []
    while len(corners):
        edges = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
        fine = edges.max(axis=1) <= PIECE
        done.append((corners[fine], owner[fine]))
        corners, owner, longest = corners[~fine], owner[~fine], edges[~fine].argmax(axis=1)
        turn = (longest[:, None] + np.arange(3)) % 3
        a, b, c = np.moveaxis(np.take_along_axis(corners, turn[:, :, None], axis=1), 1, 0)
        middle = (a + b) / 2
        corners = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
        owner = np.concatenate([owner, owner])
    return np.concatenate([own for own, _ in done]), np.concatenate([own for _, own in done])


def borders(points: np.ndarray, normals: np.ndarray, inside) -> np.ndarray:
    """At which points `[n, 3]` of a surface one side is inside and the other outside.

    At the others are walls within a body, or sheets outside of it.

    Args:
        normals: of the surface at the points, of any length.
        inside: which of points `[n, 3]` are inside.
    """
    size = np.linalg.norm(normals, axis=1, keepdims=True)
    step = NEAR * normals / np.maximum(size, 1e-30)
    return inside(points + step) != inside(points - step)


def outer(vertices: np.ndarray, faces: np.ndarray, inside) -> tuple[np.ndarray, np.ndarray]:
    """Pieces `[n, 3, 3]` of triangles that are the border of what is inside, and whose they are."""
    corners, owner = pieces(vertices, faces)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    keep = borders(corners.mean(axis=1), normals, inside)
    return corners[keep], owner[keep]


def _connected(faces: np.ndarray) -> np.ndarray:
    """The part of each triangle, numbered from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    key = edges.min(axis=1) * (int(edges.max(initial=0)) + 1) + edges.max(axis=1)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    pairs = first[np.diff(np.append(first, len(ordered))) == 2]
    one, other = order[pairs] % len(faces), order[pairs + 1] % len(faces)
    graph = coo_array((np.ones(len(one)), (one, other)), (len(faces), len(faces)))
    return connected_components(graph, directed=False)[1]

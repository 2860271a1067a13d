"""Meshes that are not one clean closed surface: mended where it is plain what is inside.

Whether it is, the winding number says (Jacobson, Kavan, Sorkine-Hornung 2013): whole numbers away
from holes, and the same along every ray.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lib.data import meshing
from lib.data.archive import DataError
from lib.data.parts import borders, outer
from lib.data.solid import DIRECTIONS, Solid, closed, solid_angle_winding

PROBES = 400  # points at which the winding number is looked at
TRUSTED = 0.98  # share of them where it must be plain
LOOKED_AT, ENOUGH = 20_000, 2000  # points that are looked at, and points inside that do
ANGLES, FEWER = 1e7, 5000  # most solid angles, and points, for it where a surface is open
SURFACE = 2000  # points on the surface that are looked at
MOST_CHANGED = 0.1  # share of the volume by which a mended mesh may differ
MOST_WALLS = 0.001  # share of those that may have the same on both sides
COARSER = 2  # so many of these are one where an open surface is first looked at
REBUILT = 128  # cells along the box in which a surface is rebuilt; parts thinner than one are lost


def mended(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """A closed surface around what is inside of a mesh in [-1, 1]^3, and what was done for it.

    A clean closed mesh comes back as it is, with an empty text. Otherwise, in this order: walls
    within the body are removed, triangles are turned, holes filled (open3d), and what then still
    overlaps or is open is rebuilt by marching cubes from its winding number. The result has the
    inside that the mesh had, but for `MOST_CHANGED` of its volume; the text says how much.

    Raises:
        DataError: the mesh is open and cannot be closed, and its winding number does not tell
            inside from outside; or what would come out is another body.
    """
    tidy = _tidied(faces)
    if _plain(vertices, tidy):
        return vertices, tidy, "" if len(tidy) == len(faces) else "double triangles removed"
    if _plain(vertices, tidy[:, ::-1]):
        return vertices, np.ascontiguousarray(tidy[:, ::-1]), "turned inside out"
    looked_at = changed = None
    for words, candidate in _candidates(vertices, tidy):
        looked_at = looked_at or _looked_at(vertices, tidy)
        changed, volume = _change(*looked_at, *candidate)
        if changed <= MOST_CHANGED:
            return *candidate, f"{words}, volume {100 * volume:+.1f} %"
    raise DataError(
        "is not watertight, and what is inside cannot be told: "
        + (
            f"once it is closed, {100 * changed:.0f} % of its volume are elsewhere"
            if changed is not None
            else "its winding number is not whole or not the same along every ray"
        )
        + f" ({'closed' if closed(tidy) else 'open'} surface of {len(tidy)} triangles)"
    )


def _candidates(
    vertices: np.ndarray, faces: np.ndarray
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Closed surfaces that might be what the mesh is meant to be, and how they were made."""
    if closed(faces):
        _, owner = outer(vertices, faces, Solid(vertices, faces).inside)
        without = faces[np.unique(owner)]
        if _plain(vertices, without):
            used, own = np.unique(without, return_inverse=True)
            yield "walls inside removed", (vertices[used], own.reshape(-1, 3).astype(np.int32))
    filled = _filled(vertices, faces)
    if _plain(*filled):
        yield "turned and holes filled", filled
    for candidate in ((vertices, faces), filled):
        if _trusted(*candidate):
            yield "rebuilt from its winding number", _rebuilt(*candidate)


def _looked_at(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Random points around a mesh, and which of them are inside."""
    solid, is_closed = Solid(vertices, faces), closed(faces)
    turned = not is_closed and _turned(faces)
    most = 20 * LOOKED_AT
    if not is_closed and not turned:
        most = int(np.clip(ANGLES / len(faces), PROBES, FEWER))
    rng = np.random.default_rng(0)
    low, high = vertices.min(0), vertices.max(0)
    points, inside = np.zeros((0, 3), np.float32), np.zeros(0, bool)
    while len(points) < most and inside.sum() < ENOUGH:
        more = rng.uniform(low, high, (min(most, LOOKED_AT), 3)).astype(np.float32)
        if is_closed:
            found = solid.inside(more)
        elif turned:
            found = solid.behind_odd(more)
        else:
            found = np.abs(solid_angle_winding(vertices, faces, more)) > 0.5
        points, inside = np.concatenate([points, more]), np.append(inside, found)
    return points, inside


def _change(
    points: np.ndarray, was: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[float, float]:
    """By what share of a volume a mesh differs from what was inside, and is larger, at points."""
    now = Solid(vertices, faces).inside(points)
    size = max(int(was.sum()), 1)
    return float((was != now).sum() / size), float((now.sum() - was.sum()) / size)


def _turned(faces: np.ndarray) -> bool:
    """Whether triangles beside each other look different ways: an edge is walked twice one way."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    side = int(edges.max(initial=0)) + 1
    key = edges.min(axis=1) * side + edges.max(axis=1)
    _, which = np.unique(key, return_inverse=True)
    balance = np.bincount(which, weights=np.where(edges[:, 0] < edges[:, 1], 1, -1))
    return bool((np.abs(balance) > 1).any())


def _tidied(faces: np.ndarray) -> np.ndarray:
    """Without triangles that have no area, come twice, or cancel each other (walls between parts).

    Where all cancel, as in a surface drawn from both sides, one of each is kept.
    """
    different = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    faces = faces[different]
    ordered = np.sort(faces, axis=1)
    even = np.any([(np.roll(ordered, k, axis=1) == faces).all(axis=1) for k in range(3)], axis=0)
    _, first, which = np.unique(ordered, axis=0, return_index=True, return_inverse=True)
    net = np.bincount(which.reshape(-1), weights=np.where(even, 1, -1), minlength=len(first))
    keep = np.sort(first[net != 0])
    return faces[keep if len(keep) else np.sort(first)]


def _plain(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Whether a surface is closed, winds once around its inside, whichever way one looks, and has
    the outside on its other side everywhere.
    """
    if not len(faces) or not closed(faces):
        return False
    solid = Solid(vertices, faces)
    points = _probes(solid)
    windings = np.stack([solid.winding(points, way) for way in DIRECTIONS])
    once = (windings == windings[0]).all(0) & np.isin(windings[0], (0, 1))
    if once.mean() < TRUSTED or not (windings == 1).any():
        return False
    where, normals = solid.surface(SURFACE, np.random.default_rng(1))
    return bool(borders(where, normals, solid.inside).mean() >= 1 - MOST_WALLS)


def _trusted(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Whether inside and outside are clear nearly everywhere, though the surface is not."""
    if not len(faces):
        return False
    solid = Solid(vertices, faces)
    points = _probes(solid)
    exact = solid_angle_winding(vertices, faces, points)
    whole = np.rint(exact)
    clear = (np.abs(exact - whole) < 0.25) & ((whole != 0) == solid.inside(points))
    return bool(clear.mean() >= TRUSTED and (whole != 0).any())


def _probes(solid: Solid) -> np.ndarray:
    """Points around and in a surface, the same whenever it is looked at."""
    rng = np.random.default_rng(0)
    near, _ = solid.surface(PROBES // 2, rng)
    far = rng.uniform(solid.vertices.min(0), solid.vertices.max(0), (PROBES // 2, 3))
    return np.concatenate([near + 0.02 * rng.standard_normal(near.shape), far]).astype(np.float32)


def _filled(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Holes closed, triangles turned the same way, and every connected part outwards."""
    import open3d

    tensor = open3d.core.Tensor
    mesh = open3d.t.geometry.TriangleMesh(tensor(vertices), tensor(np.ascontiguousarray(faces)))
    legacy = mesh.fill_holes(hole_size=4.0).to_legacy()
    legacy.orient_triangles()
    vertices = np.asarray(legacy.vertices).astype(np.float32)
    faces = np.asarray(legacy.triangles).astype(np.int32)
    part = np.asarray(legacy.cluster_connected_triangles()[0])
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    volumes = np.bincount(part, weights=np.einsum("nd,nd->n", a, np.cross(b, c)))
    inwards = volumes[part] < 0
    faces[inwards] = faces[inwards][:, ::-1]
    return vertices, faces


def _rebuilt(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A new surface around the inside; walls within it count as no surface.

    The grid is moved by parts of a cell, so that its points do not lie on the walls of things built
    on whole and half numbers, where inside and outside are a matter of rounding.
    """
    shift = np.float32((0.37, 0.21, 0.29)) * (2 / REBUILT)
    if closed(faces):
        found, triangles = _around_closed(vertices, faces, shift)
    else:
        found, triangles = _around_open(Solid(vertices, faces), shift)
    if not len(triangles):
        raise DataError(f"has nothing inside that is thicker than {2 / REBUILT:.3f}")
    return found + shift, triangles


def _around_closed(
    vertices: np.ndarray, faces: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    solid = Solid(vertices, faces)
    corners, _ = outer(vertices, faces, solid.inside)
    if not len(corners):
        raise DataError("has nothing inside: it consists of sheets without thickness")
    border = Solid(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3))

    def field(_: np.ndarray, points: np.ndarray) -> np.ndarray:
        at = points[0] + shift
        signs = np.where(solid.inside(at), -1, 1).astype(np.float32)
        return (signs * np.maximum(border.distance(at), meshing.TINY))[None]

    found = next(meshing.mesh(field, 1, REBUILT, lipschitz=[1.0]))
    return found.vertices, found.faces


def _around_open(solid: Solid, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signs jump in holes, away from any triangle, so they are looked at on a coarse grid first.

    Only points near triangles, or where coarse signs change, are looked at on the fine grid. A
    point away from triangles that its neighbours contradict was seen through a crack.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    rough = REBUILT // COARSER
    axis = np.linspace(-1, 1, rough + 1, dtype=np.float32)
    at = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3) + shift
    shape = (rough + 1,) * 3
    far = solid.distance(at).reshape(shape)
    inside = _agreed(solid.surely_inside(at).reshape(shape), far, 2 / rough)
    near = far < np.sqrt(3) * (1 / rough + 2 / REBUILT)
    look = near | (maximum_filter(inside, 3) & ~minimum_filter(inside, 3))

    place = (np.arange(REBUILT + 1) + COARSER // 2) // COARSER
    nearest = np.ix_(place, place, place)
    distance, signs, fine = far[nearest], inside[nearest], np.argwhere(look[nearest])
    at = (fine * (2 / REBUILT) - 1).astype(np.float32) + shift
    own = tuple(fine.T)
    distance[own], signs[own] = solid.distance(at), solid.surely_inside(at)
    signs = _agreed(signs, distance, 2 / REBUILT)
    signed = np.where(signs, -1, 1).astype(np.float32) * np.maximum(distance, meshing.TINY)
    return meshing.surface(signed)


def _agreed(inside: np.ndarray, distance: np.ndarray, step: float) -> np.ndarray:
    """Signs on a grid; those of points that no triangle is near are what most of 27 say."""
    from scipy.ndimage import uniform_filter

    most = uniform_filter(inside.astype(np.float32), 3) > 0.5
    return np.where(distance > np.sqrt(3) * step, most, inside)

"""Meshes that are not one clean closed surface: mended where it is plain what is inside.

Whether it is, the winding number says (Jacobson, Kavan, Sorkine-Hornung 2013): whole numbers away
from holes, and the same along every ray.
"""

from __future__ import annotations

import numpy as np

from lib.data import meshing
from lib.data.archive import DataError
from lib.data.solid import DIRECTIONS, Solid, closed, solid_angle_winding

PROBES = 400  # points at which the winding number is looked at
TRUSTED = 0.98  # share of them where it must be plain
REBUILT = 128  # cells along the box in which a surface is rebuilt; parts thinner than one are lost


def mended(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """A closed surface around what is inside of a mesh in [-1, 1]^3, and what was done for it.

    A clean closed mesh comes back as it is, with an empty text. Otherwise, in this order: triangles
    are turned, holes filled (open3d), and what then still overlaps or is open is rebuilt by
    marching cubes from its winding number.

    Raises:
        DataError: the mesh is open and cannot be closed, and its winding number does not tell
            inside from outside.
    """
    tidy = _tidied(faces)
    if _plain(vertices, tidy):
        return vertices, tidy, "" if len(tidy) == len(faces) else "double triangles removed"
    if _plain(vertices, tidy[:, ::-1]):
        return vertices, np.ascontiguousarray(tidy[:, ::-1]), "turned inside out"
    filled = _filled(vertices, tidy)
    if _plain(*filled):
        return *filled, "turned and holes filled"
    for candidate in ((vertices, tidy), filled):
        if _trusted(*candidate):
            return *_rebuilt(*candidate), "rebuilt from its winding number"
    raise DataError(
        "is not watertight, and what is inside cannot be told: its winding number is not whole "
        f"or not the same along every ray ({'closed' if closed(tidy) else 'open'} surface of "
        f"{len(tidy)} triangles)"
    )


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
    """Whether a surface is closed and winds once around its inside, whichever way one looks."""
    if not len(faces) or not closed(faces):
        return False
    solid = Solid(vertices, faces)
    points = _probes(solid)
    windings = np.stack([solid.winding(points, way) for way in DIRECTIONS])
    once = (windings == windings[0]).all(0) & np.isin(windings[0], (0, 1))
    return bool(once.mean() >= TRUSTED and (windings == 1).any())


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
    solid = Solid(vertices, faces)
    steep = 1.0 if closed(faces) else np.inf  # the sign jumps in a hole, so every cell is looked at
    found = next(
        meshing.mesh(
            lambda _, points: solid.signed_distance(points[0])[None], 1, REBUILT, lipschitz=[steep]
        )
    )
    if not len(found.faces):
        raise DataError(f"has nothing inside that is thicker than {2 / REBUILT:.3f}")
    return found.vertices, found.faces

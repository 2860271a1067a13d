"""Mesh files from a folder or an archive: read, checked, mended, put into one box."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from lib.core.repro import atomic
from lib.data import mesh_binary, mesh_text
from lib.data.archive import DataError, entries
from lib.data.mending import mended
from lib.data.mesh_file import MeshError, RawMesh, unmarked, what_it_is

SUFFIXES = (".obj", ".off", ".ply", ".stl")
PLY = (
    "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\n"
    "property float z\nelement face {}\nproperty list uchar int vertex_indices\nend_header\n"
)
FACE = np.dtype([("count", "u1"), ("vertices", "<i4", 3)])
EXTENT = 0.9  # of [-1, 1] that a shape fills along its longest side


class Mesh(NamedTuple):
    """A closed surface: vertices `[V, 3]` float32 in [-0.9, 0.9], triangles `[F, 3]` int32.

    `mended` says what was done to close it, and is empty if nothing was.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    mended: str = ""


class Meshes(NamedTuple):
    """The usable meshes in order of their names, and why others were left out, by file name."""

    usable: list[Mesh]
    left_out: dict[str, str]


def load_meshes(path: str | Path) -> Meshes:
    """Every mesh (PLY, OBJ, OFF, STL) below a folder or in an archive; other files are passed by.

    A mesh is called by its path without suffix and without the folders common to all, joined by
    `-`. One that cannot be read, or has no inside that can be told, is left out with the reason.

    Raises:
        DataError: no such path, a damaged archive, no mesh that can be used, or two meshes of
            the same name.
    """
    usable: dict[str, Mesh] = {}
    left_out: dict[str, str] = {}
    for entry in entries(path):
        if entry.is_folder or PurePosixPath(entry.name).suffix.lower() not in SUFFIXES:
            continue
        if entry.name in usable or entry.name in left_out:
            raise DataError(f"{path}: {entry.name} is there twice; rename one of them")
        try:
            usable[entry.name] = parse(entry.name, entry.read())
        except MeshError as error:
            left_out[entry.name] = str(error)
    if not usable:
        reasons = "".join(f"\n  {name} {left_out[name]}" for name in sorted(left_out)[:5])
        raise DataError(
            f"{path}: no mesh that can be used, {len(left_out)} were left out{reasons}"
            if left_out
            else f"{path}: no mesh inside; expected files of {', '.join(SUFFIXES)}"
        )
    names = _names([*usable, *left_out])
    kept = [usable[file]._replace(name=names[file]) for file in sorted(usable)]
    return Meshes(sorted(kept, key=lambda mesh: mesh.name), dict(sorted(left_out.items())))


def parse(name: str, data: bytes) -> Mesh:
    """The mesh in the bytes of a file called `name`, normalised and mended.

    Raises:
        MeshError: it cannot be read, has no faces, vertices that are not numbers or triangles
            between vertices that are not there, or no inside that can be told.
    """
    vertices, faces, notes = _read(name, data)
    if not len(faces) or not len(vertices):
        what = "points alone" if len(vertices) else "neither points nor faces"
        raise MeshError(f"has no faces: it holds {what}")
    if not np.isfinite(vertices).all():
        bad = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
        raise MeshError(f"has {len(bad)} vertices that are not numbers, the first is {bad[0]}")
    if faces.min() < 0 or faces.max() >= len(vertices):
        bad = faces.max() if faces.max() >= len(vertices) else faces.min()
        raise MeshError(f"has a triangle with vertex {bad}, but only {len(vertices)} vertices")
    used, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3).astype(np.int32)
    try:
        vertices, faces, words = mended(*_merged(normalised(vertices[used]), faces))
    except MeshError:
        raise
    except DataError as error:
        raise MeshError("; ".join([str(error), *notes])) from None
    if abs(np.ptp(vertices, axis=0).max() - 2 * EXTENT) > 0.02:  # what was taken away stuck out
        vertices = normalised(vertices)
    return Mesh(PurePosixPath(name).stem, vertices, faces, "; ".join(filter(None, [*notes, words])))


def normalised(vertices: np.ndarray) -> np.ndarray:
    """Vertices `[V, 3]` float32 moved and scaled: the box around them is centred and fits.

    Raises:
        MeshError: all of them are at one point.
    """
    vertices = np.asarray(vertices, np.float64)
    low, high = vertices.min(0), vertices.max(0)
    size = float((high - low).max())
    if size <= 0 or not np.isfinite(size):
        raise MeshError(f"has no size: its box goes from {low.tolist()} to {high.tolist()}")
    return ((vertices - (low + high) / 2) * (2 * EXTENT / size)).astype(np.float32) + 0.0


def read_mesh(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices `[V, 3]` float32 and triangles `[F, 3]` int32 of one file, as they are.

    Raises:
        DataError: no such file, or one that cannot be read; nothing else is checked.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    vertices, faces, _ = _read(path.name, path.read_bytes())
    return vertices.astype(np.float32), faces


def write_mesh(path: str | Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a mesh, also one without faces, as a binary PLY file.

    (open3d's own writer reports success on a full disk.)
    """
    rows = np.empty(len(faces), FACE)
    rows["count"], rows["vertices"] = 3, faces
    with atomic(path) as temporary:
        temporary.write_bytes(
            PLY.format(len(vertices), len(faces)).encode()
            + np.asarray(vertices, "<f4").tobytes()
            + rows.tobytes()
        )


def simplified(
    vertices: np.ndarray, faces: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with about `count` triangles at most (quadric decimation, open3d)."""
    if len(faces) <= count:
        return vertices, faces
    with _quiet() as open3d:
        legacy = _mesh(open3d, vertices, faces).to_legacy()
        smaller = legacy.simplify_quadric_decimation(count)
        smaller.remove_unreferenced_vertices()
    return (
        np.asarray(smaller.vertices).astype(np.float32),
        np.asarray(smaller.triangles).astype(np.int32),
    )


def _read(name: str, data: bytes) -> RawMesh:
    """The mesh in a file, as it is there.

    Raises:
        MeshError: it is no such file, or damaged.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if not data.strip():
        raise MeshError("has no faces: the file is empty")
    if (what := what_it_is(data)) and (suffix, what) != (".ply", "a PLY file"):
        raise MeshError(f"is {what}; expected what its suffix {suffix} says")
    if suffix == ".stl":
        text = unmarked(data)
        is_text = text.lstrip()[:5].lower() == b"solid" and b"\0" not in text
        return mesh_text.stl(data) if is_text else mesh_binary.stl(data)
    return {".ply": mesh_binary.ply, ".obj": mesh_text.obj, ".off": mesh_text.off}[suffix](data)


def _merged(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices at the same place become one, as STL repeats them for every triangle."""
    places, first, which = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return places[order], rank[which.reshape(-1)][faces].astype(np.int32)


def _mesh(open3d, vertices: np.ndarray, faces: np.ndarray):
    tensor = open3d.core.Tensor
    vertices = np.ascontiguousarray(vertices, np.float32).reshape(-1, 3)
    faces = np.ascontiguousarray(faces, np.int32).reshape(-1, 3)
    return open3d.t.geometry.TriangleMesh(tensor(vertices), tensor(faces))


class _quiet:
    """open3d without its warnings; what they would say is found out and said in one's own words."""

    def __enter__(self):
        import open3d

        self.level = open3d.utility.get_verbosity_level()
        open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
        self.restore = open3d.utility.set_verbosity_level
        return open3d

    def __exit__(self, *_) -> None:
        self.restore(self.level)


def _names(files: list[str]) -> dict[str, str]:
    parts = {file: PurePosixPath(file.replace("\\", "/")).with_suffix("").parts for file in files}
    common = os.path.commonprefix([own[:-1] for own in parts.values()])
    names: dict[str, str] = {}
    owner: dict[str, str] = {}
    for file, own in sorted(parts.items()):
        names[file] = "-".join(own[len(common) :])
        if names[file] in owner:
            raise DataError(
                f"{file} and {owner[names[file]]} would both be called {names[file]!r}; "
                "rename one of them"
            )
        owner[names[file]] = file
    return names

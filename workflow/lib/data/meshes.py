"""Mesh files from a folder or an archive: read by open3d, checked, mended, put into one box."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from lib.core.repro import atomic
from lib.data.archive import DataError, entries
from lib.data.mending import mended

SUFFIXES = (".obj", ".off", ".ply", ".stl")
PLY = (
    "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\n"
    "property float z\nelement face {}\nproperty list uchar int vertex_indices\nend_header\n"
)
FACE = np.dtype([("count", "u1"), ("vertices", "<i4", 3)])
NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?|[-+]?(nan|inf)", re.I)
CORNER = re.compile(rb"([-+]?[1-9]\d{0,9})(/[-+]?\d*){0,2}")
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


class MeshError(DataError):
    """One mesh cannot be used; the message goes on after its name."""


def parse(name: str, data: bytes) -> Mesh:
    """The mesh in the bytes of a file called `name`, normalised and mended.

    Raises:
        MeshError: it cannot be read, has no faces, vertices that are not numbers or triangles
            between vertices that are not there, or no inside that can be told.
    """
    vertices, faces = _read(name, data)
    if not len(faces) or not len(vertices):
        raise MeshError(
            "has no faces: the file is empty, damaged or truncated, or holds points alone"
        )
    if not np.isfinite(vertices).all():
        bad = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
        raise MeshError(f"has {len(bad)} vertices that are not numbers, the first is {bad[0]}")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(
            f"has a triangle with vertex {faces.max()}, but only {len(vertices)} vertices"
        )
    try:
        return Mesh(PurePosixPath(name).stem, *mended(*_merged(normalised(vertices), faces)))
    except MeshError:
        raise
    except DataError as error:
        raise MeshError(str(error)) from None


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
        DataError: no such file, or one that open3d cannot read; nothing else is checked.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    vertices, faces = _read(path.name, path.read_bytes())
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


def _read(name: str, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices as they are in the file, triangles int32; both empty where open3d gives up."""
    suffix = PurePosixPath(name).suffix.lower()
    data = _modest(suffix, data)
    handle, file = tempfile.mkstemp(suffix=suffix)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        with _quiet() as open3d:
            mesh = open3d.t.io.read_triangle_mesh(file)
    # The first two are what assimp, inside of open3d, makes of an empty file.
    except (IndexError, RuntimeError, MemoryError):
        return np.zeros((0, 3)), np.zeros((0, 3), np.int32)
    finally:
        os.unlink(file)
    if "positions" not in mesh.vertex or "indices" not in mesh.triangle:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int32)
    faces = mesh.triangle.indices.numpy()
    return mesh.vertex.positions.numpy(), faces.reshape(-1, 3).astype(np.int32)


def _modest(suffix: str, data: bytes) -> bytes:
    """The bytes of a mesh file that open3d may read: it believes the numbers that PLY and OFF tell.

    Raises:
        MeshError: more vertices or faces are announced than the file has bytes; see `_plain_obj`.
    """
    if suffix == ".obj":
        return _plain_obj(data)
    told = []
    if suffix == ".ply":
        header = data.partition(b"end_header")[0]
        told = re.findall(rb"^[ \t]*element[ \t]+\S+[ \t]+(\d+)", header, re.M)
    elif suffix == ".off":
        lines = re.sub(rb"#.*", b"", data[: 1 << 16])
        told = re.findall(rb"\d+", lines.partition(b"OFF")[2])[:3]
    for number in told:
        if len(number) > 12 or int(number) > len(data):
            raise MeshError(
                f"announces {number[:20].decode()} vertices or faces, but has {len(data)} bytes"
            )
    return data


def _plain_obj(data: bytes) -> bytes:
    """An OBJ file with its vertices and faces alone: what else is in some crashes open3d.

    Other files that it names, which would be opened, go with the rest.

    Raises:
        MeshError: a line of a vertex or face is none.
    """
    kept, count = [], 0
    for number, line in enumerate(re.sub(rb"\\\r?\n", b"  ", data).split(b"\n"), 1):
        word, *rest = line.split() or [b""]
        if word == b"v":
            if len(rest) < 3 or not all(map(NUMBER.fullmatch, rest[:3])):
                raise MeshError(f"is damaged: line {number} is no vertex")
            kept.append(b"v " + b" ".join(rest[:3]))
            count += 1
        elif word == b"f":
            corners = [found and int(found[1]) for found in map(CORNER.fullmatch, rest)]
            if len(corners) < 3 or not all(corners) or -min(corners) > count:
                raise MeshError(f"is damaged: line {number} is no face")
            kept.append(b"f " + b" ".join(b"%d" % k for k in corners))
    most = max((int(k) for line in kept if line[:1] == b"f" for k in line.split()[1:]), default=0)
    if most > count:
        raise MeshError(f"has a triangle with vertex {most - 1}, but only {count} vertices")
    return b"\n".join(kept) + b"\n"


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

"""Meshes in text: OBJ, OFF and the text kind of STL, as exporters write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from lib.data.mesh_file import MeshError, RawMesh, check_count, numbers, plain_text, shown
from lib.data.polygons import triangles

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?|[-+]?(nan|inf)", re.I)
CORNER = re.compile(r"([-+]?[1-9]\d{0,9})(/[-+]?\d*){0,2}")
NUM = r"([-+]?(?:[\d.]\S*|nan\S*|inf\S*))"
OFF = re.compile(r"\s*(ST)?(C)?(N)?(4)?OFF(?=[\s\d]|$)", re.I)


def obj(data: bytes) -> RawMesh:
    """An OBJ file: its vertices and faces alone; other files that it names are not opened.

    Raises:
        MeshError: a line of a vertex or face is none.
    """
    text, notes = plain_text(data)
    vertices: list[list[str]] = []
    sizes: list[int] = []
    corners: list[int] = []
    for number, line in _lines(re.sub(r"\\\n", "  ", text), "#"):
        word, *rest = line.split()
        word = word.lower()
        if word == "v":
            if len(rest) < 3 or not all(map(NUMBER.fullmatch, rest[:3])):
                raise MeshError(f"is damaged: line {number} is no vertex: {shown(line)}")
            vertices.append(rest[:3])
        elif word in ("f", "fo"):
            found = [match and int(match[1]) for match in map(CORNER.fullmatch, rest)]
            if len(found) < 3 or not all(found) or -min(found) > len(vertices):
                raise MeshError(f"is damaged: line {number} is no face: {shown(line)}")
            sizes.append(len(found))
            corners += [corner - 1 if corner > 0 else len(vertices) + corner for corner in found]
    points = np.array(vertices, np.float64).reshape(-1, 3)
    faces, _ = triangles(points, np.array(sizes, np.int64), np.array(corners, np.int64))
    return RawMesh(points, faces, notes)


def off(data: bytes) -> RawMesh:
    """An OFF file, with colours, normals or texture coordinates or without, and comments anywhere.

    Raises:
        MeshError: more or fewer vertices and faces than it announces, or lines that are none.
    """
    if re.match(rb"\s*\w*OFF\s+BINARY", data, re.I):
        raise MeshError("is binary OFF, which is not read; expected OFF as text, PLY, OBJ or STL")
    text, notes = plain_text(data)
    text = "\n".join(line for _, line in _lines(text, "#"))
    if re.match(r"\s*(ST)?C?N?4?nOFF", text):
        raise MeshError("is nOFF, of any number of dimensions; expected OFF, of three")
    head = OFF.match(text)
    texture, color, normal, fourth = head.groups() if head else (None,) * 4
    lines = [line.split() for line in text[head.end() if head else 0 :].split("\n") if line.strip()]
    if not lines:
        raise MeshError("has no faces: the file is empty")
    counts = lines[0] if len(lines[0]) > 1 else [word for line in lines[:3] for word in line][:3]
    rows = lines[1:] if len(lines[0]) > 1 else lines[3:]
    if len(counts) < 2 or not all(word.isdecimal() for word in counts[:2]):
        raise MeshError(f"is no OFF file: expected OFF and how many vertices, got {shown(counts)}")
    vertex_count, face_count = (check_count(word, data) for word in counts[:2])
    told = f"announces {vertex_count} vertices and {face_count} faces"
    width = 4 if fourth else 3
    if len(rows) < vertex_count + face_count or any(len(r) < width for r in rows[:vertex_count]):
        extra = 3 * bool(normal) + 4 * bool(color) + 2 * bool(texture)
        rows = _rows([word for row in rows for word in row], vertex_count, width + extra, told)
    if len(rows) != vertex_count + face_count:
        whole = min(len(rows), vertex_count)
        raise MeshError(f"{told}, but has {whole} and {len(rows) - whole}")
    points = numbers([word for row in rows[:vertex_count] for word in row[:width]])
    points = points.reshape(-1, width)
    if fourth:
        points = points[:, :3] / points[:, 3:]
    sizes, corners = [], []
    for row in rows[vertex_count:]:
        size = _index(row[0])
        if not 0 < size < len(row) or min(map(_index, row[1 : size + 1])) < 0:
            raise MeshError(f"is damaged: expected a face, got {shown(row)}")
        sizes.append(size)
        corners += map(int, row[1 : size + 1])
    faces, few = triangles(points, np.array(sizes, np.int64), np.array(corners, np.int64))
    return RawMesh(points, faces, notes + few_corners(few))


def stl(data: bytes) -> RawMesh:
    """An STL file in text: solids of facets, whose corners are all that is read.

    Raises:
        MeshError: a facet has other than three corners, or the file breaks off.
    """
    text, notes = plain_text(data)
    starts = re.findall(r"\bouter\s+loop\b", text, re.I)
    loops = re.findall(r"\bendloop\b", text, re.I)
    corners = re.findall(rf"\bvertex\s+{NUM}\s+{NUM}\s+{NUM}(?=\s)", text, re.I)
    if len(corners) != 3 * len(loops) or len(starts) != len(loops):
        raise MeshError(
            f"is damaged or truncated: {len(starts)} loops begin and {len(loops)} end, with "
            f"{len(corners)} corners; expected three of each"
        )
    if corners and not re.search(r"\bend\s?solid\b", text, re.I):
        raise MeshError(f"is truncated: no endsolid after {len(loops)} facets")
    points = numbers([word for row in corners for word in row]).reshape(-1, 3)
    return RawMesh(points, np.arange(len(points), dtype=np.int32).reshape(-1, 3), notes)


def _index(word: str) -> int:
    return int(word) if re.fullmatch(r"\d{1,10}", word) else -1


def few_corners(count: int) -> list[str]:
    """The note on faces that are edges or points."""
    return [f"faces of fewer than three corners passed by: {count}"] if count else []


def _lines(text: str, comment: str) -> Iterable[tuple[int, str]]:
    """Lines that are neither empty nor a comment, with their numbers."""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.partition(comment)[0].strip()
        if line:
            yield number, line


def _rows(words: list[str], count: int, width: int, told: str) -> list[list[str]]:
    """Rows of vertices and faces of an OFF file whose lines break anywhere."""
    rows = [words[k * width : (k + 1) * width] for k in range(count)]
    at = count * width
    while at < len(words):
        size = _index(words[at])
        if size < 1 or at + size >= len(words):
            break
        rows.append(words[at : at + size + 1])
        at += size + 1
    if at != len(words):
        whole = sum(len(row) >= 3 for row in rows[:count])
        raise MeshError(f"{told}, but has {whole} and {len(rows[count:])} before it breaks off")
    return rows

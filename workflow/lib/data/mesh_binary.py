"""PLY files, in text and binary, and the binary kind of STL."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from lib.data.mesh_file import MeshError, RawMesh, check_count, numbers, plain_text, shown, unmarked
from lib.data.mesh_text import few_corners
from lib.data.polygons import strips, triangles

TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
HEADER = re.compile(rb"\s*ply\b.*?(\r\n|\n|\r)\s*end_header[ \t]*(\r\n|\n|\r|$)", re.S | re.I)
FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("extra", "<u2")])
STL_HEAD = 84  # bytes before the first facet


Column = np.ndarray | tuple[np.ndarray, np.ndarray]  # numbers, or sizes and contents of lists


class Property(NamedTuple):
    """A number, or with `count` a list of them whose length has that type."""

    name: str
    kind: str
    count: str = ""


class Element(NamedTuple):
    """Rows of the same properties."""

    name: str
    rows: int
    properties: list[Property]


def ply(data: bytes) -> RawMesh:
    """A PLY file: its vertices, and its faces (polygons or triangle strips).

    Raises:
        MeshError: a header that cannot be understood, or more or fewer rows than it announces.
    """
    data = unmarked(data)
    head = HEADER.match(data)
    if not head:
        raise MeshError(
            "is no PLY file: it does not begin with `ply` and a header up to `end_header`"
            if data.strip()
            else "has no faces: the file is empty"
        )
    order, elements = _header(head[0], data)
    told = f"announces {', '.join(f'{e.rows} {e.name} rows' for e in elements)}"
    body, notes = data[head.end() :], []
    if not order:
        text, notes = plain_text(body)
        reader = _Words(text)
    else:
        reader = _Bytes(body, order)
    columns: dict[tuple[str, str], Column] = {}
    for element in elements:
        try:
            found = reader.rows(element)
        except IndexError:
            raise MeshError(
                f"is truncated: it {told}, but ends within the {element.name} rows"
            ) from None
        columns |= {(element.name, name): column for name, column in found.items()}
    if rest := reader.left():
        raise MeshError(
            f"{told}, but {rest} follow after them; either the header or the file is wrong"
        )
    return _of_columns(columns, notes)


def stl(data: bytes) -> RawMesh:
    """A binary STL file; up to 49 bytes or nothing but zeros and blanks may follow its facets.

    Raises:
        MeshError: more or fewer facets than it announces.
    """
    if len(data) < STL_HEAD:
        raise MeshError(f"is no STL file: {len(data)} bytes, without `solid` at the start")
    told = int.from_bytes(data[80:STL_HEAD], "little")
    have, rest = divmod(len(data) - STL_HEAD, FACET.itemsize)
    notes = []
    if told == 0 and have and not rest:
        told, notes = have, [f"{have} triangles read, of which the header says nothing"]
    after = data[STL_HEAD + told * FACET.itemsize :]
    if told > have or (len(after) >= FACET.itemsize and after.strip(b"\0 \t\r\n")):
        raise MeshError(
            f"announces {told} triangles, but has the bytes of {have}; it is truncated, or its "
            "header is wrong"
        )
    rows = np.frombuffer(data, FACET, told, STL_HEAD)
    points = rows["corners"].reshape(-1, 3).astype(np.float64)
    return RawMesh(points, np.arange(len(points), dtype=np.int32).reshape(-1, 3), notes)


def _header(head: bytes, data: bytes) -> tuple[str, list[Element]]:
    order, elements = None, []
    for line in re.split(r"\r\n|\n|\r", head.decode("latin-1")):
        word, *rest = line.lower().split() or [""]
        try:
            if word == "format":
                order = ORDERS[rest[0]]
            elif word == "element":
                elements.append(Element(rest[0], check_count(rest[1], data), []))
            elif word == "property" and rest[0] == "list":
                elements[-1].properties.append(Property(rest[3], TYPES[rest[2]], TYPES[rest[1]]))
            elif word == "property":
                elements[-1].properties.append(Property(rest[1], TYPES[rest[0]]))
        except (KeyError, IndexError):
            raise MeshError(f"has a PLY header that cannot be understood: {shown(line)}") from None
    if order is None:
        raise MeshError("has a PLY header without a format, expected ascii or binary_..._endian")
    return order, elements


def _of_columns(columns: dict[tuple[str, str], Column], notes: list[str]) -> RawMesh:
    try:
        points = np.stack([columns["vertex", axis] for axis in "xyz"], axis=1).astype(np.float64)
    except KeyError:
        raise MeshError("is a PLY file without x, y and z of vertices") from None
    found, few = [np.zeros((0, 3), np.int32)], 0
    for (element, name), column in columns.items():
        if name not in ("vertex_indices", "vertex_index") or not isinstance(column, tuple):
            continue
        sizes, corners = column
        if element == "tristrips":
            cuts = np.cumsum(sizes)[:-1]
            found.append(strips(np.insert(corners, cuts, -1).tolist()))
        elif element == "face":
            own, few = triangles(points, sizes, corners)
            found.append(own)
    return RawMesh(points, np.concatenate(found), notes + few_corners(few))


class _Rows:
    """Rows of elements, read one after another."""

    def rows(self, element: Element) -> dict[str, Column]:
        """The columns of an element: numbers, or sizes and contents of lists.

        Raises:
            IndexError: there are fewer rows.
        """
        if not element.rows or not element.properties:
            empty = np.zeros(0, np.int64)
            return {p.name: (empty, empty) if p.count else empty for p in element.properties}
        if found := self.alike(element):
            return found
        lists: dict[str, list[np.ndarray]] = {p.name: [] for p in element.properties}
        for _ in range(element.rows):
            for p in element.properties:
                lists[p.name].append(self.take(p.kind, self.length(p)))
        return {
            p.name: _packed(lists[p.name]) if p.count else np.concatenate(lists[p.name])
            for p in element.properties
        }

    def length(self, prop: Property) -> int:
        """How many numbers come next: one, or as many as a list tells."""
        size = int(self.take(prop.count, 1)[0]) if prop.count else 1
        if size < 0:
            raise MeshError(f"is damaged: a list of length {size}")
        return size

    def first(self, element: Element) -> list[int]:
        """How many numbers each property has in the next row, which is not taken."""
        start, sizes = self.at, []
        for p in element.properties:
            sizes.append(self.length(p))
            self.take(p.kind, sizes[-1])
        self.at = start
        return sizes


class _Words(_Rows):
    """Rows of a PLY file in text."""

    def __init__(self, text: str) -> None:
        lines = [line.split() for line in text.split("\n") if line.strip()]
        words = [word for line in lines if line[0] not in ("comment", "obj_info") for word in line]
        self.values, self.at = numbers(words), 0

    def alike(self, element: Element) -> dict[str, Column] | None:
        """The columns, at once, if all lists are as long as those of the first row."""
        sizes = self.first(element)
        width = sum(sizes) + sum(bool(p.count) for p in element.properties)
        own = self.values[self.at : self.at + width * element.rows]
        if len(own) < width * element.rows:
            return None
        own, columns, at = own.reshape(element.rows, width), {}, 0
        for p, size in zip(element.properties, sizes, strict=True):
            if p.count and (own[:, at] != size).any():
                return None
            at += bool(p.count)
            columns[p.name] = _packed(own[:, at : at + size]) if p.count else own[:, at]
            at += size
        self.at += width * element.rows
        return columns

    def take(self, kind: str, count: int) -> np.ndarray:
        """The next numbers."""
        if self.at + count > len(self.values):
            raise IndexError
        self.at += count
        return self.values[self.at - count : self.at]

    def left(self) -> str:
        """What is behind the last row."""
        count = len(self.values) - self.at
        return f"{count} more numbers" if count else ""


class _Bytes(_Rows):
    """Rows of a binary PLY file."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.at = data, order, 0

    def alike(self, element: Element) -> dict[str, Column] | None:
        """The columns, at once, if all lists are as long as those of the first row."""
        fields: list[tuple] = []
        for k, (p, size) in enumerate(zip(element.properties, self.first(element), strict=True)):
            fields += [(f"n{k}", self.order + p.count)] if p.count else []
            fields.append((f"f{k}", self.order + p.kind, (size,)))
        row = np.dtype(fields)
        if self.at + row.itemsize * element.rows > len(self.data):
            return None
        own, columns = np.frombuffer(self.data, row, element.rows, self.at), {}
        for k, p in enumerate(element.properties):
            values = own[f"f{k}"]
            if p.count and (own[f"n{k}"] != values.shape[1]).any():
                return None
            columns[p.name] = _packed(values) if p.count else values[:, 0]
        self.at += row.itemsize * element.rows
        return columns

    def take(self, kind: str, count: int) -> np.ndarray:
        """The next numbers."""
        own = np.dtype(self.order + kind)
        if self.at + own.itemsize * count > len(self.data):
            raise IndexError
        self.at += own.itemsize * count
        return np.frombuffer(self.data, own, count, self.at - own.itemsize * count)

    def left(self) -> str:
        """What is behind the last row, but for zeros and blanks."""
        rest = self.data[self.at :]
        return f"{len(rest)} bytes" if rest.strip(b"\0 \t\r\n\x1a") else ""


def _packed(lists: list[np.ndarray] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array([len(own) for own in lists], np.int64)
    return sizes, np.concatenate(lists).astype(np.int64)

"""Meshes as exporters write them: one body in many files, and what a file is that is none."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from lib.data.mesh_binary import ply, stl
from lib.data.mesh_file import MeshError
from lib.data.mesh_text import obj, off
from lib.data.mesh_text import stl as stl_text
from lib.data.meshes import parse
from lib.data.polygons import strips, triangles

L_SHAPE = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]
STAR = [
    (float(np.cos(k * np.pi / 5) * r), float(np.sin(k * np.pi / 5) * r))
    for k, r in enumerate([1.0, 0.5] * 5)
]
CUBE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def prism(outline, height=1.0):
    """Corners and faces of an upright body, whose top and bottom are polygons."""
    n = len(outline)
    corners = [(x, y, 0.0) for x, y in outline] + [(x, y, height) for x, y in outline]
    sides = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
    return corners, [tuple(range(n))[::-1], tuple(range(n, 2 * n)), *sides]


def volume(mesh) -> float:
    a, b, c = (np.asarray(mesh.vertices, np.float64)[mesh.faces[:, k]] for k in range(3))
    return float(np.einsum("nd,nd->n", a, np.cross(b, c)).sum() / 6)


def texts(corners, faces):
    """The body as OBJ and OFF."""
    points = "".join(f"v {x!r} {y!r} {z!r}\n" for x, y, z in corners)
    sides = "".join("f " + " ".join(str(k + 1) for k in face) + "\n" for face in faces)
    head = f"OFF\n{len(corners)} {len(faces)} 0\n"
    return points + sides, head + points.replace("v ", "") + "".join(
        f"{len(face)} " + " ".join(map(str, face)) + "\n" for face in faces
    )


def ply_of(corners, faces, order="<", end=b"", kind="float", newline="\n", more=()):
    """The body as a PLY file."""
    name = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    letter = {"float": "f", "double": "d"}[kind]
    lines = ["ply", f"format {name} 1.0", "comment by hand", f"element vertex {len(corners)}"]
    lines += [f"property {kind} {axis}" for axis in "xyz"]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", *more]
    head = newline.join([*lines, "end_header", ""]).encode()
    if not order:
        rows = [*map(str, corners), *(str((len(face), *face)) for face in faces)]
        return head + newline.join(row.strip("()").replace(",", "") for row in rows).encode() + end
    body = b"".join(struct.pack(f"{order}3{letter}", *corner) for corner in corners)
    body += b"".join(struct.pack(f"{order}B{len(face)}i", len(face), *face) for face in faces)
    return head + body + end


@pytest.mark.parametrize("outline", [L_SHAPE, L_SHAPE[1:] + L_SHAPE[:1], STAR, CUBE])
@pytest.mark.parametrize("tilt", [0.0, 1.0])
def test_polygons_are_cut_into_the_triangles_that_they_cover(outline, tilt):
    points = np.array([(x, y, tilt * x) for x, y in outline])
    count = len(outline)
    found, few = triangles(points, np.array([count]), np.arange(count))
    a, b, c = (points[found[:, k], :2] for k in range(3))
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    x, y = points[:, 0], points[:, 1]
    whole = (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    assert len(found) == count - 2 and few == 0
    assert (areas >= -1e-12).all() and areas.sum() == pytest.approx(whole)


def test_strips_turn_every_second_triangle():
    assert strips([0, 1, 2, 3, -1, 4, 5, 6]).tolist() == [[0, 1, 2], [2, 1, 3], [4, 5, 6]]


@pytest.mark.parametrize("order", ["<", ">", ""])
@pytest.mark.parametrize("outline", [L_SHAPE, STAR, CUBE])
def test_polygons_of_ply_files(outline, order):
    x, y = np.array(outline).T
    area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    raw = ply(ply_of(*prism(outline), order, kind="double"))
    assert volume(raw) == pytest.approx(area) and raw.notes == []


PLAIN_PLY = ply_of(*prism(CUBE))
EDGE_PLY = ply_of(prism(CUBE)[0], [*prism(CUBE)[1], (0, 1), (2, 2, 3, 3)])
STRIP_PLY = (
    b"ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z"
    b"\nelement tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    b"0 0 0\n1 0 0\n0 1 0\n0 0 1\n10 0 2 1 3 0 2 -1 0 1 3\n"
)


@pytest.mark.parametrize(
    ("data", "faces"),
    [
        (PLAIN_PLY, 12),
        (b"\xef\xbb\xbf" + ply_of(*prism(CUBE), ""), 12),
        (ply_of(*prism(CUBE), "", newline="\r"), 12),
        (ply_of(*prism(CUBE), newline="\r\n"), 12),
        (PLAIN_PLY + b"\r\n\0\0", 12),
        (EDGE_PLY, 14),
        (STRIP_PLY, 5),
    ],
)
def test_ways_to_write_a_ply_file(data, faces):
    assert len(ply(data).faces) == faces


def test_a_face_that_is_an_edge_is_passed_by_and_told():
    mesh = parse("a.ply", EDGE_PLY)
    assert volume(mesh) == pytest.approx(1.8**3, rel=1e-5)
    assert "faces of fewer than three corners passed by: 1" in mesh.mended


CORNERS, FACES = prism(CUBE)
OBJ, OFF = texts(CORNERS, FACES)


@pytest.mark.parametrize(
    "text",
    [
        OBJ,
        OBJ.replace("\n", " # said\n"),
        OBJ.replace("\n", " #said 1 2\n"),
        "\ufeff" + OBJ,
        OBJ.replace("\n", "\r\n"),
        OBJ.replace("\n", "\r"),
        OBJ.upper(),
        OBJ.replace("f ", "fo "),
        OBJ.replace(".0", ",0"),
        OBJ.replace(" ", "\t"),
    ],
)
def test_ways_to_write_an_obj_file(text):
    raw = obj(text.encode())
    np.testing.assert_array_equal(raw.vertices, CORNERS)
    assert len(raw.faces) == 12 and volume(raw) == pytest.approx(1)
    again = obj(text.encode("utf-16"))
    np.testing.assert_array_equal(again.faces, raw.faces)


@pytest.mark.parametrize(
    "text",
    [
        OFF,
        OFF.replace("OFF\n", "off\n"),
        OFF.replace(" 0\n", "\n", 1),
        OFF.replace("OFF\n", "OFF "),
        OFF.replace("OFF\n", "# a\nOFF\n# b\n"),
        OFF.replace("\n", " # said 1 2\n"),
        OFF.replace("\n", "\n# 7 7 7\n"),
        OFF.replace("\n", "\n\n"),
        OFF.replace("\n", "\r"),
        OFF.replace(" ", "\n"),
        OFF.replace(".0\n", ".0 255 0 0 255\n"),
        OFF.replace(".0\n", ".0 255 0 0 255\n").replace("OFF", "COFF"),
        OFF.replace("1.0", "2.0").replace(".0\n", ".0 2\n").replace("OFF", "4OFF"),
        "\ufeff" + OFF,
        OFF.removeprefix("OFF\n"),
    ],
)
def test_ways_to_write_an_off_file(text):
    raw = off(text.encode())
    np.testing.assert_array_equal(raw.vertices, CORNERS)
    assert len(raw.faces) == 12


TRIANGLES = triangles(np.array(CORNERS), np.full(6, 4), np.array(FACES).reshape(-1))[0]


def stl_words(newline="\n", number="%g"):
    lines = ["solid a facet vertex"]
    for face in TRIANGLES:
        lines += ["facet normal nan nan nan", "outer loop"]
        lines += ["vertex " + " ".join(number % (x * 0.25) for x in CORNERS[k]) for k in face]
        lines += ["endloop", "endfacet"]
    return newline.join([*lines, "endsolid a", ""])


def stl_bytes(head=b"x", count=12, end=b""):
    rows = b"".join(
        bytes(12) + np.float32([CORNERS[k] for k in face]).tobytes() + bytes(2)
        for face in TRIANGLES
    )
    return head.ljust(80, b"\0") + struct.pack("<I", count) + rows + end


@pytest.mark.parametrize(
    "text",
    [
        stl_words(),
        stl_words().upper(),
        stl_words("\r"),
        stl_words("\r\n"),
        "\n " + stl_words(),
        "\ufeff" + stl_words(),
        stl_words().replace(".", ","),
        stl_words().replace("\n", " ") + "\n",
    ],
)
def test_ways_to_write_stl_as_text(text):
    assert volume(stl_text(text.encode())) == pytest.approx(1 / 64)
    assert volume(parse("a.stl", text.encode())) == pytest.approx(1.8**3, rel=1e-5)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (stl_bytes(), ""),
        (stl_bytes(b"solid part\nfacet "), ""),
        (stl_bytes(b"solid part", end=bytes(7)), ""),
        (stl_bytes(end=b"\r\n"), ""),
        (stl_bytes(end=bytes(120)), ""),
        (stl_bytes(count=0), "12 triangles read, of which the header says nothing"),
    ],
)
def test_ways_to_write_binary_stl(data, note):
    mesh = parse("a.stl", data)
    assert volume(mesh) == pytest.approx(1.8**3, rel=1e-5) and mesh.mended == note


@pytest.mark.parametrize(
    ("read", "data", "message"),
    [
        (ply, PLAIN_PLY[:-3], "is truncated: it announces 8 vertex rows, 6 face rows, but ends w"),
        (ply, PLAIN_PLY.replace(b"face 6", b"face 5"), "5 face rows, but 17 bytes follow"),
        (ply, PLAIN_PLY.replace(b"format", b"farmat"), "without a format"),
        (ply, PLAIN_PLY.replace(b"uchar int", b"uchar number"), "cannot be understood: .property"),
        (off, OFF[:-20].encode(), "announces 8 vertices and 6 faces, but has 8 and 4"),
        (off, (OFF + "3 0 1 2\n").encode(), "but has 8 and 7"),
        (off, b"OFF BINARY\n1 2", "is binary OFF, which is not read; expected"),
        (off, b"nOFF 4\n1 2", "is nOFF"),
        (obj, OBJ.encode() + b"\0\1\2", "is not text"),
        (obj, OBJ.replace("v 0.0", "v -1.#IND", 1).encode(), "line 1 is no vertex: 'v -1.'"),
        (stl, stl_bytes(count=11), "announces 11 triangles, but has the bytes of 12"),
        (stl, stl_bytes(count=13), "announces 13 triangles, but has the bytes of 12"),
        (stl, b"hello", "is no STL file"),
        (stl_text, stl_words()[:-200].encode(), "is (damaged or )?truncated"),
    ],
)
def test_files_that_do_not_hold_what_they_say(read, data, message):
    with pytest.raises(MeshError, match=message):
        read(data)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.stl", b"solid a\nendsolid a\n", "has no faces"),
        ("a.stl", PLAIN_PLY, "is a PLY file; expected what its suffix .stl says"),
        ("a.obj", b"\x7fELF\2\1\1" + bytes(50), "is a compiled object file"),
        ("a.obj", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of git-lfs"),
        ("a.ply", b"<!DOCTYPE html><html>", "is a web page"),
    ],
)
def test_a_file_that_is_something_else_is_named(name, data, message):
    with pytest.raises(MeshError, match=message):
        parse(name, data)


@pytest.mark.parametrize("far", [(5e5, 4649776.0, 120.0), (-2487002.88, -4684683.68, 3529638.98)])
def test_meshes_far_from_the_origin_keep_their_form(far):
    here = parse("a.obj", OBJ.encode())
    corners = np.array(prism(STAR)[0])
    star = parse("a.obj", texts(corners.tolist(), prism(STAR)[1])[0].encode())
    for kind, text in zip(
        ("obj", "off"), texts((corners + far).tolist(), prism(STAR)[1]), strict=True
    ):
        mesh = parse(f"a.{kind}", text.encode())
        np.testing.assert_allclose(mesh.vertices, star.vertices, atol=1e-6)
        np.testing.assert_array_equal(mesh.faces, star.faces)
    moved = ply_of((np.array(CORNERS) + far).tolist(), FACES, kind="double")
    np.testing.assert_allclose(parse("a.ply", moved).vertices, here.vertices, atol=1e-6)


def test_a_vertex_without_faces_does_not_count():
    text = OBJ.replace("f ", "v 100 100 100\nf ", 1)
    assert np.abs(parse("a.obj", text.encode()).vertices).max() == np.float32(0.9)

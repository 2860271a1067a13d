"""Chairs and meshes: what is generated is sound, what is read is normalised, mended or refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.data import chairs
from lib.data.archive import DataError
from lib.data.meshes import (
    EXTENT,
    MeshError,
    load_meshes,
    normalised,
    parse,
    read_mesh,
    simplified,
    write_mesh,
)
from lib.data.solid import Solid, closed, solid_angle_winding


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Volume inside a closed mesh; negative where normals look inwards."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    return float(np.sum(a * np.cross(b, c)) / 6)


def edges_pair_up(faces: np.ndarray) -> bool:
    """Every edge belongs to two triangles, which walk it in opposite directions."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there = {tuple(edge) for edge in edges.tolist()}
    return len(there) == len(edges) and all((b, a) in there for a, b in there)


def pieces(count: int, faces: np.ndarray) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(faces)), (faces[:, 0], faces[:, 1])), (count, count))
    more = coo_array((np.ones(len(faces)), (faces[:, 1], faces[:, 2])), (count, count))
    return connected_components(graph + more, directed=False)[0]


CHAIRS = {
    "plain": dict(seat="square", back="solid", legs="four", arms=False, stretchers=False),
    "slats": dict(seat="square", back="slats", legs="four", arms=True, stretchers=True),
    "ladder": dict(seat="round", back="ladder", legs="pedestal", arms=True),
    "spindles": dict(seat="round", back="spindles", legs="four", stretchers=True),
    "rocker": dict(seat="square", back="spindles", legs="rockers", arms=True, stretchers=True),
}


@pytest.mark.parametrize("kind", CHAIRS)
@pytest.mark.parametrize("seed", range(2))
def test_a_chair_is_one_closed_surface(kind, seed):
    parameters = replace(chairs.draw(np.random.default_rng(seed)), **CHAIRS[kind])
    vertices, faces = chairs.chair(parameters)
    assert vertices.dtype == np.float32 and faces.dtype == np.int32
    assert edges_pair_up(faces)
    assert pieces(len(vertices), faces) == 1
    assert 0.01 < volume(vertices, faces) < 0.2  # cubic metres of wood


def test_a_chair_has_the_measures_asked_for():
    parameters = replace(
        chairs.draw(np.random.default_rng(0)), **CHAIRS["plain"], back_lean=0.0, leg_splay=0.0
    )
    vertices, _ = chairs.chair(parameters)
    size = vertices.max(0) - vertices.min(0)
    height = parameters.seat_height + parameters.back_height
    expected = parameters.seat_width, parameters.seat_depth, height
    assert size == pytest.approx(expected, abs=0.01)


def test_arms_rockers_and_bars_are_there_when_asked_for():
    def wood(**changes) -> float:
        return volume(*chairs.chair(replace(plain, **changes)))

    plain = replace(chairs.draw(np.random.default_rng(1)), **CHAIRS["plain"])
    assert wood(arms=True) > wood()
    assert wood(stretchers=True) > wood()
    assert wood(back="slats") < wood()
    assert wood(back="ladder", bars=4) > wood(back="ladder", bars=2)


def test_chairs_depend_on_their_seed_alone():
    first, again = (chairs.draw(np.random.default_rng(7)) for _ in range(2))
    assert first == again != chairs.draw(np.random.default_rng(8))
    for one, other in zip(chairs.chair(first), chairs.chair(again), strict=True):
        np.testing.assert_array_equal(one, other)


# --- mesh files ---------------------------------------------------------------------------------


def box(half=(0.5, 0.3, 0.9), centre=(0.0, 0.0, 0.0)):
    corners = np.indices((2, 2, 2)).reshape(3, 8).T * 2 - 1
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return corners * np.array(half) + np.array(centre), np.array(faces, np.int32)


def joined(*parts):
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [own + offset for (_, own), offset in zip(parts, offsets[:-1], strict=True)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces)


def off(vertices, faces, head="OFF\n") -> bytes:
    lines = [f"{len(vertices)} {len(faces)} 0", *(" ".join(map(str, row)) for row in vertices)]
    return (head + "\n".join([*lines, *(f"3 {a} {b} {c}" for a, b, c in faces)]) + "\n").encode()


def obj(vertices, faces) -> bytes:
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    return "\n".join([*lines, *(f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces), ""]).encode()


def ply(vertices, faces) -> bytes:
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {len(vertices)}\nproperty float x\nproperty float y"
        f"\nproperty float z\nelement face {len(faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    lines = [" ".join(map(str, row)) for row in vertices]
    return (head + "\n".join([*lines, *(f"3 {a} {b} {c}" for a, b, c in faces)]) + "\n").encode()


def stl(vertices, faces) -> bytes:
    """Binary: every triangle repeats its corners."""
    rows = np.zeros(len(faces), dtype=[("floats", "<f4", 12), ("extra", "<u2")])
    rows["floats"][:, 3:] = np.asarray(vertices)[faces].reshape(len(faces), 9)
    return bytes(80) + len(faces).to_bytes(4, "little") + rows.tobytes()


WRITERS = {"off": off, "obj": obj, "ply": ply, "stl": stl}


def inside_volume(mesh) -> float:
    return volume(mesh.vertices, mesh.faces)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_mesh(kind):
    vertices, faces = box((5.0, 3.0, 9.0), (7.0, 0.0, -2.0))
    mesh = parse(f"a/chair.{kind.upper()}", WRITERS[kind](vertices, faces))
    assert (mesh.name, mesh.mended) == ("chair", "")
    assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32
    assert mesh.vertices.shape == (8, 3) and mesh.faces.shape == (12, 3)
    assert np.abs(mesh.vertices).max(0) == pytest.approx([0.5, 0.3, 0.9], abs=1e-6)
    assert inside_volume(mesh) == pytest.approx(8 * 0.5 * 0.3 * 0.9, rel=1e-5)


def test_the_head_of_modelnet_files_is_understood():
    assert len(parse("chair.off", off(*box(), head="OFF")).faces) == 12


def test_squares_become_triangles():
    vertices, _ = box()
    quads = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
    lines = "".join(f"v {x} {y} {z}\n" for x, y, z in vertices)
    mesh = parse("box.obj", (lines + quads).encode())
    assert mesh.faces.shape == (12, 3) and mesh.mended == ""


TETRAHEDRON = ["v 0 0 0", "v 1 0 0", "v 0 1 0", "v 0 0 1"]
FACES = ["f 1 3 2", "f 1 2 4", "f 1 4 3", "f 2 3 4"]


def test_the_ways_to_write_an_obj_are_understood():
    plain = parse("a.obj", "\n".join(TETRAHEDRON + FACES).encode())
    others = ["# a comment", "vn 0 0 1", "vt 0 0", "usemtl wood", "g leg", "s off"]
    vertices = ["v 0 0 0 1.0", "v\t1.e0 +0 0", "v 0 1 -0.0", "v 0 0 \\", "  1"]
    faces = ["f 1/1 3/1 2/1", "f 1//1 2//1 4//1", "f -4/1/1 -1/1/1 -2/1/1", " f 2 3 4 "]
    found = parse("a.obj", "\r\n".join(others + vertices + faces).encode())
    assert (found.vertices == plain.vertices).all() and (found.faces == plain.faces).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("v 1 2", "line 9 is no vertex"),
        ("v 1 2 x", "line 9 is no vertex"),
        ("f 1 2", "line 9 is no face"),
        ("f 1 2 0", "line 9 is no face"),
        ("f 1 2 3.5", "line 9 is no face"),
        ("f 1 2 -5", "line 9 is no face"),
        ("f 1 2 5", "a triangle with vertex 4, but only 4 vertices"),
        ("f 1 2 99999999999999999999", "line 9 is no face"),
    ],
)
def test_a_damaged_obj_is_refused_by_its_line(line, message):
    with pytest.raises(MeshError, match=message):
        parse("a.obj", "\n".join([*TETRAHEDRON, *FACES, line]).encode())


def with_nan():
    vertices, faces = box()
    vertices[3, 1] = np.nan
    return ply(vertices, faces)


def with_missing_vertex():
    vertices, faces = box()
    faces[5, 1] = 8
    return ply(vertices, faces)


def open_sheet():
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    vertices = np.stack([x, y, 0.3 * np.sin(3 * x)], axis=-1).reshape(-1, 3)
    at = np.arange(25).reshape(5, 5)
    a, b, c, d = (at[i : i + 4, j : j + 4].ravel() for i in (0, 1) for j in (0, 1))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return ply(vertices, faces[3:-7])


BAD = {
    "empty file": (b"", "has no faces"),
    "not a mesh": (b"hello", "is no PLY file"),
    "points alone": (ply(box()[0], []), "has no faces"),
    "cut short": (
        ply(*box())[:250],
        "is truncated: it announces 8 vertex rows, 12 face rows, but ends",
    ),
    "NaN": (with_nan(), "has 1 vertices that are not numbers, the first is 3"),
    "missing vertex": (with_missing_vertex(), "has a triangle with vertex 8, but only 8 vertices"),
    "one point": (ply(np.ones((3, 3)), [(0, 1, 2)]), "has no size"),
    "open": (open_sheet(), "is not watertight, and what is inside cannot be told"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mesh_that_cannot_be_used_says_why(case):
    data, reason = BAD[case]
    with pytest.raises(MeshError, match=reason):
        parse("bad.ply", data)


def test_a_mesh_turned_inside_out_is_turned_back():
    vertices, faces = box()
    mesh = parse("box.ply", ply(vertices, faces[:, ::-1]))
    assert mesh.mended == "turned inside out"
    assert inside_volume(mesh) == pytest.approx(8 * 0.5 * 0.3 * 0.9, rel=1e-5)


@pytest.mark.parametrize("turned", [(0, 1, 5), (2, 7, 8, 9, 11)])
def test_triangles_turned_the_wrong_way_are_turned_back(turned):
    vertices, faces = box()
    faces[list(turned)] = faces[list(turned), ::-1]
    mesh = parse("box.ply", ply(vertices, faces))
    assert mesh.mended and edges_pair_up(mesh.faces)
    assert inside_volume(mesh) == pytest.approx(8 * 0.5 * 0.3 * 0.9, rel=1e-5)


def test_a_hole_is_filled():
    vertices, faces = chairs.chair(chairs.draw(np.random.default_rng(0)))
    whole = parse("chair.stl", stl(vertices, faces))
    middle = vertices[faces].mean(1)
    hole = np.linalg.norm(middle - middle[0], axis=1) < 0.02
    mesh = parse("chair.stl", stl(vertices, faces[~hole]))
    assert hole.sum() > 3 and whole.mended == ""
    assert mesh.mended.startswith("turned and holes filled, volume") and closed(mesh.faces)
    assert inside_volume(mesh) == pytest.approx(inside_volume(whole), rel=0.01)


def test_parts_that_overlap_are_joined():
    parts = joined(box((0.9, 0.2, 0.2)), box((0.2, 0.9, 0.2)))
    mesh = parse("cross.ply", ply(*parts))
    assert mesh.mended.startswith("rebuilt from its winding number, volume")
    assert edges_pair_up(mesh.faces) and pieces(len(mesh.vertices), mesh.faces) == 1
    exact = 2 * 8 * 0.9 * 0.2 * 0.2 - 8 * 0.2**3
    assert inside_volume(mesh) == pytest.approx(exact, rel=0.02)


def test_a_wall_between_two_parts_is_taken_out():
    lower, upper = box((0.5, 0.5, 0.5)), box((0.5, 0.5, 0.5), (0, 0, 1))
    mesh = parse("tower.stl", stl(*joined(lower, upper)))
    assert mesh.mended == "double triangles removed" and len(mesh.faces) == 20
    assert inside_volume(mesh) == pytest.approx(8 * 0.45 * 0.45 * 0.9, rel=1e-5)


def test_a_cavity_stays_a_cavity():
    vertices, faces = box((0.3, 0.3, 0.3))
    mesh = parse("hollow.ply", ply(*joined(box((0.9, 0.9, 0.9)), (vertices, faces[:, ::-1]))))
    assert mesh.mended == ""
    assert Solid(mesh.vertices, mesh.faces).inside(
        np.float32([[0, 0, 0], [0, 0, 0.5]])
    ).tolist() == [
        False,
        True,
    ]


def test_winding_by_solid_angles_is_that_along_rays():
    vertices, faces = joined(box((0.6, 0.2, 0.2)), box((0.2, 0.7, 0.3), (0.1, 0, 0)))
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (200, 3))
    exact = solid_angle_winding(vertices, faces, points)
    np.testing.assert_allclose(exact, Solid(vertices, faces).winding(points), atol=1e-9)
    assert set(np.rint(exact).tolist()) == {0, 1, 2}


def test_normalising_keeps_the_proportions():
    vertices = normalised(np.array([[0, 0, 0], [4, 2, 1]]))
    np.testing.assert_allclose(vertices, [[-0.9, -0.45, -0.225], [0.9, 0.45, 0.225]], rtol=1e-6)
    assert EXTENT == 0.9


# --- folders and archives -----------------------------------------------------------------------


def fill(folder: Path) -> Path:
    """Three chairs, two of which cannot be used, and what else lies in such folders."""
    inner = folder / "set" / "chairs"
    inner.mkdir(parents=True)
    (folder / "set" / "tables").mkdir()
    (inner / "b.off").write_bytes(off(*box()))
    (inner / "a.stl").write_bytes(stl(*box()))
    (folder / "set" / "tables" / "a.ply").write_bytes(ply(*box((1, 1, 0.2))))
    (inner / "c.ply").write_bytes(with_nan())
    (inner / "d.obj").write_bytes(b"")
    (inner / "notes.txt").write_text("not a mesh")
    return folder


def packed(folder: Path, kind: str) -> Path:
    target = folder.parent / f"meshes.{kind}"
    files = sorted(folder.rglob("*"), reverse=True)
    if kind == "zip":
        with zipfile.ZipFile(target, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(target, "w:gz") as archive:
            for file in files:
                archive.add(file, file.relative_to(folder), recursive=False)
    return target


def test_a_folder_and_its_archives_are_the_same_meshes(tmp_path):
    folder = fill(tmp_path / "meshes")
    found = load_meshes(folder)
    assert [mesh.name for mesh in found.usable] == ["chairs-a", "chairs-b", "tables-a"]
    assert {name: reason[:20] for name, reason in found.left_out.items()} == {
        "set/chairs/c.ply": "has 1 vertices that ",
        "set/chairs/d.obj": "has no faces: the fi",
    }
    for kind in ("zip", "tar.gz"):
        again = load_meshes(packed(folder, kind))
        assert again.left_out == found.left_out
        for one, other in zip(found.usable, again.usable, strict=True):
            assert one.name == other.name
            np.testing.assert_array_equal(one.vertices, other.vertices)
            np.testing.assert_array_equal(one.faces, other.faces)


def test_without_a_usable_mesh_the_reasons_are_told(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match=r"no mesh inside; expected files of \.obj, \.off"):
        load_meshes(tmp_path)
    (tmp_path / "c.ply").write_bytes(with_nan())
    with pytest.raises(DataError, match="1 were left out\n  c.ply has 1 vertices"):
        load_meshes(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        load_meshes(tmp_path / "none")


def test_two_meshes_of_one_name_are_refused(tmp_path):
    for kind in ("ply", "stl"):
        (tmp_path / f"a.{kind}").write_bytes(WRITERS[kind](*box()))
    with pytest.raises(DataError, match="a.stl and a.ply would both be called 'a'"):
        load_meshes(tmp_path)


def test_an_archive_that_points_outside_is_refused(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        info = tarfile.TarInfo("../out.ply")
        info.size = len(data := ply(*box()))
        archive.addfile(info, io.BytesIO(data))
    with pytest.raises(DataError, match="points outside"):
        load_meshes(tmp_path / "evil.tar")


def test_meshes_are_written_and_read_again(tmp_path):
    mesh = chairs.chair(chairs.draw(np.random.default_rng(0)))
    write_mesh(tmp_path / "chair.ply", *mesh)
    for one, other in zip(read_mesh(tmp_path / "chair.ply"), mesh, strict=True):
        np.testing.assert_array_equal(one, other)
    write_mesh(tmp_path / "again.ply", *mesh)
    assert (tmp_path / "again.ply").read_bytes() == (tmp_path / "chair.ply").read_bytes()
    with pytest.raises(DataError, match="no such file"):
        read_mesh(tmp_path / "none.ply")


def test_a_mesh_without_faces_is_written_too(tmp_path):
    write_mesh(tmp_path / "empty.ply", np.zeros((0, 3)), np.zeros((0, 3)))
    vertices, faces = read_mesh(tmp_path / "empty.ply")
    assert vertices.shape == (0, 3) and faces.shape == (0, 3)


def test_simplified_meshes_are_small_and_alike():
    vertices, faces = chairs.chair(chairs.draw(np.random.default_rng(0)))
    fewer = simplified(vertices, faces, 2000)
    assert len(fewer[1]) <= 2000 and fewer[1].dtype == np.int32
    assert volume(*fewer) == pytest.approx(volume(vertices, faces), rel=0.02)
    assert simplified(*fewer, 2000)[1] is fewer[1]

"""Meshes on a page: their bytes, their budget, their pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from lib.data.archive import DataError
from lib.data.meshes import write_mesh
from lib.report import meshes
from lib.report.inputs import ReportError
from shape_fixture import chair

COLOR = "#3F97D2"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    found = {f"shape-{k:04d}": folder / f"shape-{k:04d}.ply" for k in range(18)}
    for number, path in enumerate(found.values()):
        write_mesh(path, *chair(number, 24))
    return found


def small(turning: dict, pictured: dict | None = None) -> meshes.Meshes:
    return meshes.small(turning, pictured or {}, lambda name: COLOR)


def test_meshes_are_kept_to_a_few_decimals():
    vertices, faces = chair(0, 24)
    data = base64.b64decode(meshes.encoded(vertices, faces))
    count, triangles = np.frombuffer(data, "<u4", 2)
    points = np.frombuffer(data, "<i2", 3 * count, 8).reshape(-1, 3) / 32767
    np.testing.assert_allclose(points, vertices, atol=2e-5)
    numbers = np.frombuffer(data, "<u2", 3 * triangles, 8 + 6 * count)
    np.testing.assert_array_equal(numbers.reshape(-1, 3), faces)
    with pytest.raises(ValueError, match="70000 vertices"):
        meshes.encoded(np.zeros((70000, 3)), faces)


def test_many_meshes_share_the_budget(files, monkeypatch):
    first = dict(list(files.items())[:1])
    assert small(files, first).triangles == meshes.TRIANGLES
    monkeypatch.setattr(meshes, "MESHES", 100_000)
    found = small(files, first)
    assert sum(map(len, found.meshes.values())) < 100_000
    assert found.triangles < 1000 and list(found.pictures) == list(first)


def test_open_surfaces_with_their_many_vertices_fit_too(tmp_path, monkeypatch):
    sheet = np.stack(np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 40)), -1).reshape(-1, 2)
    corner = np.array([[0, 0, 0], [0.05, 0, 0], [0, 0.05, 0]])
    points = (np.pad(sheet, ((0, 0), (0, 1)))[:, None] * 0.9 + corner).reshape(-1, 3)
    files = {"sheet": tmp_path / "sheet.ply"}
    write_mesh(files["sheet"], points, np.arange(len(points)).reshape(-1, 3))
    whole = small(files).meshes["sheet"]
    monkeypatch.setattr(meshes, "MESHES", 30_000)
    assert len(whole) > meshes.TRIANGLE_BYTES * len(sheet)
    assert len(small(files).meshes["sheet"]) < 30_000


def test_the_first_pictures_are_kept_while_they_fit(files, monkeypatch):
    names = list(files)[:6]
    every = small({}, {name: files[name] for name in names}).pictures
    sizes = [len(every[name]) for name in names]
    monkeypatch.setattr(meshes, "PICTURES", sum(sizes[:4]) + 1)
    assert list(small({}, {name: files[name] for name in names}).pictures) == names[:4]


def test_equal_files_are_simplified_once(files, tmp_path, monkeypatch):
    path = files["shape-0000"]
    copies = {f"copy {k}": tmp_path / f"{k}.ply" for k in range(3)}
    for copy in copies.values():
        copy.write_bytes(path.read_bytes())
    calls = []

    def counted(*args):
        calls.append(args)
        return simplified(*args)

    simplified = meshes.simplified
    monkeypatch.setattr(meshes, "simplified", counted)
    found = small({"one": path, **copies, "other": files["shape-0001"]}, {"one": path, **copies})
    assert len(calls) == 2 and len(found.meshes) == 5
    assert len(set(found.meshes.values())) == 2 and len(set(found.pictures.values())) == 1


def test_a_mesh_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nothing.ply: no such file"):
        small({"nothing": tmp_path / "nothing.ply"})


def test_what_is_kept_is_what_was_made(files, tmp_path):
    made = small(files, files)
    made.write(tmp_path / "scenes.json")
    assert meshes.read_meshes(tmp_path / "scenes.json") == made


def test_a_file_without_meshes_is_named(tmp_path):
    path = tmp_path / "scenes.json"
    with pytest.raises(ReportError, match="scenes.json: no such file"):
        meshes.read_meshes(path)
    for text in ('{"meshes": {}}', "no JSON"):
        path.write_text(text)
        with pytest.raises(ReportError, match="not the meshes of a page"):
            meshes.read_meshes(path)


def pixels(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_a_picture_shows_the_shape_in_its_color():
    image = pixels(meshes.picture(*chair(0, 24), COLOR))
    covered = image[..., 3] > 128
    assert image.shape == (96, 96, 4) and 0.05 < covered.mean() < 0.6
    red, green, blue = image[covered][:, :3].mean(0)
    assert blue > green > red
    assert not pixels(meshes.picture(np.zeros((0, 3)), np.zeros((0, 3), int), COLOR)).any()


def test_what_is_near_hides_what_is_behind():
    square = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) * 0.5
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    near, far = square - [0, 0.4, 0], square + [0, 0.4, 0]
    eye = meshes.turned(np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]), yaw=0, pitch=0)
    np.testing.assert_allclose(eye, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    one = pixels(meshes.picture(near, faces, "#888888"))
    both = np.concatenate([near, far * 0.5]), np.concatenate([faces, faces + 4])
    other = pixels(meshes.picture(*both, "#888888"))
    np.testing.assert_array_equal(other[44:52, 44:52], one[44:52, 44:52])

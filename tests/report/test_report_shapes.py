"""The report on shapes: what it says of its tables, and the meshes it holds."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib.data.archive import DataError
from lib.data.meshes import write_mesh
from lib.report import scenes, shape_scenes, shape_tables
from lib.report.inputs import ReportError
from lib.report.shape_inputs import COLUMNS, ShapeData, ShapeFiles
from lib.report.shape_summary import per_shape, verdicts
from lib.report.shapes import shapes_report
from report_fixture import RUN
from shape_fixture import chair, write_shapes


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / "results"
    write_shapes(root)
    return root


@pytest.fixture
def files(study, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(study, tmp_path / "results", ignore=shutil.ignore_patterns("meshes"))
    folder = tmp_path / "results/shapes"
    tables = {name: folder / f"{name}.csv" for name in COLUMNS}
    return ShapeFiles(**tables, scenes=folder / "scenes.json", card=folder / "card.json")


def page(files: ShapeFiles, run=RUN, about: str = "") -> str:
    return shapes_report(files, run, files.card.parents[1], about)


def edit(path, change) -> None:
    frame = pd.read_csv(path)
    (change(frame) if callable(change) else frame.assign(**change)).to_csv(path, index=False)


def judge(files: ShapeFiles) -> list[str]:
    return [verdict.state for verdict in verdicts(ShapeData.load(files))]


# --- what it says -------------------------------------------------------------------------------


def test_a_good_study_reaches_its_goals(files):
    assert judge(files) == ["reached", "reached", "note", "reached", "note"]


def scaled(method: str, factor: float):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["method"] == method, "iou"] *= factor
        return frame

    return change


def test_decoded_shapes_that_lose_too_much_fall_short(files):
    edit(files.reconstruction, scaled("decoded", 0.8))
    assert judge(files)[:2] == ["short", "reached"]


def test_a_decoder_no_better_than_a_search_falls_short(files):
    edit(files.reconstruction, scaled("nearest", 1.5))
    assert judge(files)[:2] == ["reached", "short"]


def test_completion_no_better_than_from_scratch_falls_short(files):
    edit(files.completion, scaled("scratch", 4))
    assert judge(files)[3] == "short"


def test_one_shape_settles_nothing(files):
    edit(files.completion, lambda frame: frame[frame["shape"] == frame["shape"][0]])
    assert judge(files)[3] == "open"


def test_scores_are_averaged_over_seeds_and_set_against_the_own_field():
    columns = {"fscore_001": 0.5, "fscore_002": 0.5, "normal_consistency": 0.5, "chamfer": 0.1}
    rows = [
        {"shape": "a", "method": method, "seed": seed, "iou": iou} | columns
        for method, seed, iou in (("siren", 0, 0.8), ("decoded", 0, 0.3), ("decoded", 1, 0.5))
    ]
    found = per_shape(pd.DataFrame(rows)).set_index("method")
    assert found["iou"].to_dict() == pytest.approx({"siren": 0.8, "decoded": 0.4})
    assert found.loc["decoded", "share"] == pytest.approx(0.5)


def test_fields_that_diverged_are_counted_and_left_out(files):
    table = shape_tables.zoo(pd.read_csv(files.catalogue))
    assert [row[1].text for row in table.rows] == [
        "9 ok, 1 diverged",
        "3 ok, 0 diverged",
        "5 ok, 0 diverged",
    ]


def test_meshes_without_a_surface_are_counted(files):
    data = ShapeData.load(files)
    cells = {row[0].text: row for row in shape_tables.interpolation(data.interpolation).rows}
    assert cells["In the weights"][3].text == "50.0\u00a0%"
    assert cells["In the latent space"][3].text == "0.0\u00a0%"


# --- the page -----------------------------------------------------------------------------------


def test_the_page_is_self_contained_small_and_names_its_data(files):
    html = page(files)
    assert len(html) < 15e6
    assert html.count("<script src") == html.count('rel="stylesheet"') == 0
    assert not re.search(r"""(src|href)=["'](https?:)?//""", html.split("<main", 1)[1])
    for name in COLUMNS:
        assert f"shapes/{name}.csv" in html
    assert "Meshes that could not be used: 1." in html
    assert "Mended meshes: turned and holes filled (1)." in html


def many(frame: pd.DataFrame, copies: int) -> pd.DataFrame:
    return pd.concat([frame.assign(shape=frame["shape"] + f"-{k}") for k in range(copies)])


def test_a_page_on_thousands_of_shapes_stays_below_15_mb(files):
    """Full budgets of meshes and pictures, and whatever else there is of each shape."""
    for name, copies in (("latent_map", 200), ("catalogue", 200), ("shapes", 200)):
        edit(getattr(files, name), lambda frame, copies=copies: many(frame, copies))
    edit(files.reconstruction, lambda frame: many(frame, 600))
    lost = pd.DataFrame({"file": [f"{k}.off" for k in range(9000)], "reason": "no faces"})
    lost.to_csv(files.left_out, index=False)
    made = json.loads(files.scenes.read_text())
    names = shape_scenes.reconstruction(pd.read_csv(files.reconstruction)).meshes
    made["meshes"] |= dict.fromkeys(names, "")
    made["meshes"]["filling"] = "A" * (scenes.MESHES - sum(map(len, made["meshes"].values())))
    made["pictures"] = {"filling": "A" * scenes.PICTURES}
    files.scenes.write_text(json.dumps(made))
    html = page(files)
    assert 14e6 < len(html) < 15e6
    assert "of 3,600 shapes" in html and "Meshes that could not be used: 9000." in html


def test_equal_tables_give_equal_pages(files):
    assert page(files) == page(files)


def test_text_from_outside_is_escaped(files):
    edit(files.shapes, {"mended": "</script><b>"})
    html = page(files)
    assert "<b>" not in html.split("<main", 1)[1]
    assert "&lt;b&gt;bad&lt;/b&gt;.off" in html


def test_names_of_shapes_cannot_end_the_script(files):
    old, new = "shape-0013", "</script><i>"
    for table in ("reconstruction", "interpolation", "completion"):
        path = getattr(files, table)
        path.write_text(path.read_text().replace(old, new))
    made = json.loads(files.scenes.read_text())
    for part in ("meshes", "pictures"):
        made[part] = {name.replace(old, new): data for name, data in made[part].items()}
    files.scenes.write_text(json.dumps(made))
    assert "<i>" not in re.sub(r"<script.*?</script>", "", page(files), flags=re.S)


@pytest.mark.parametrize("name", [part.name for part in dataclasses.fields(ShapeFiles)])
def test_a_missing_file_is_named(files, name):
    getattr(files, name).unlink()
    with pytest.raises(ReportError, match=f"{getattr(files, name).name}: no such file"):
        page(files)


@pytest.mark.parametrize("name", ["reconstruction", "sampling", "left_out"])
def test_a_missing_column_is_named(files, name):
    column = COLUMNS[name][1]
    edit(getattr(files, name), lambda frame: frame.drop(columns=column))
    with pytest.raises(ReportError, match=f"{name}.csv: lacks column {column}"):
        page(files)


def test_no_mesh_left_out_is_no_error(files):
    edit(files.left_out, lambda frame: frame.iloc[:0])
    assert "could not be used" not in page(files)


def test_a_mesh_that_a_table_names_must_be_there(files):
    made = json.loads(files.scenes.read_text())
    del made["meshes"]["decoded/shape-0015"]
    files.scenes.write_text(json.dumps(made))
    with pytest.raises(ReportError, match="lacks the mesh decoded/shape-0015"):
        page(files)


def test_scenes_that_are_none_are_named(files):
    files.scenes.write_text('{"meshes": {}}')
    with pytest.raises(ReportError, match="not the meshes of a report"):
        page(files)


def test_many_test_shapes_are_cut_to_those_shown(files):
    frame = pd.read_csv(files.reconstruction)
    more = [frame.assign(shape=frame["shape"] + letter) for letter in "abcde"]
    scene = shape_scenes.reconstruction(pd.concat(more))
    assert len(scene.choices) == shape_scenes.SHOWN < 5 * frame["shape"].nunique()
    assert [choice.panels[0][0] for choice in scene.choices][:2] == [
        "original/shape-0013a",
        "original/shape-0013b",
    ]


# --- meshes on the page -------------------------------------------------------------------------


def test_meshes_are_kept_to_a_few_decimals():
    vertices, faces = chair(0, 24)
    data = base64.b64decode(scenes.encoded(vertices, faces))
    count, triangles = np.frombuffer(data, "<u4", 2)
    points = np.frombuffer(data, "<i2", 3 * count, 8).reshape(-1, 3) / 32767
    np.testing.assert_allclose(points, vertices, atol=2e-5)
    numbers = np.frombuffer(data, "<u2", 3 * triangles, 8 + 6 * count)
    np.testing.assert_array_equal(numbers.reshape(-1, 3), faces)
    with pytest.raises(ValueError, match="70000 vertices"):
        scenes.encoded(np.zeros((70000, 3)), faces)


def test_many_meshes_share_the_budget(study, monkeypatch):
    folder = study / "shapes/meshes"
    names = sorted(path.stem for path in (folder / "original").glob("*.ply"))
    names = [f"original/{name}" for name in names]
    whole = scenes.scenes(folder, names, names[:1])
    assert whole["triangles"] == scenes.TRIANGLES
    monkeypatch.setattr(scenes, "MESHES", 100_000)
    small = scenes.scenes(folder, names, names[:1])
    assert sum(map(len, small["meshes"].values())) < 100_000
    assert small["triangles"] < 1000 and list(small["pictures"]) == names[:1]


def test_open_surfaces_with_their_many_vertices_fit_too(tmp_path, monkeypatch):
    sheet = np.stack(np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 40)), -1).reshape(-1, 2)
    corner = np.array([[0, 0, 0], [0.05, 0, 0], [0, 0.05, 0]])
    points = (np.pad(sheet, ((0, 0), (0, 1)))[:, None] * 0.9 + corner).reshape(-1, 3)
    write_mesh(tmp_path / "sheet.ply", points, np.arange(len(points)).reshape(-1, 3))
    whole = scenes.scenes(tmp_path, ["sheet"], [])["meshes"]["sheet"]
    monkeypatch.setattr(scenes, "MESHES", 30_000)
    assert len(whole) > scenes.TRIANGLE_BYTES * len(sheet)
    assert len(scenes.scenes(tmp_path, ["sheet"], [])["meshes"]["sheet"]) < 30_000


def test_the_first_pictures_are_kept_while_they_fit(study, monkeypatch):
    names = [f"original/shape-{k:04d}" for k in range(6)]
    every = scenes.scenes(study / "shapes/meshes", [], names)["pictures"]
    sizes = [len(every[name]) for name in names]
    monkeypatch.setattr(scenes, "PICTURES", sum(sizes[:4]) + 1)
    assert list(scenes.scenes(study / "shapes/meshes", [], names)["pictures"]) == names[:4]


def test_a_mesh_that_is_not_there_is_named(study):
    with pytest.raises(DataError, match="nothing.ply: no such file"):
        scenes.scenes(study / "shapes/meshes", ["original/nothing"], [])


def pixels(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_a_picture_shows_the_shape_in_its_color():
    image = pixels(scenes.picture(*chair(0, 24), "#3F97D2"))
    covered = image[..., 3] > 128
    assert image.shape == (96, 96, 4) and 0.05 < covered.mean() < 0.6
    red, green, blue = image[covered][:, :3].mean(0)
    assert blue > green > red
    assert not pixels(scenes.picture(np.zeros((0, 3)), np.zeros((0, 3), int), "#3F97D2")).any()


def test_what_is_near_hides_what_is_behind():
    square = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) * 0.5
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    near, far = square - [0, 0.4, 0], square + [0, 0.4, 0]
    eye = scenes.turned(np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]), yaw=0, pitch=0)
    np.testing.assert_allclose(eye, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    one = pixels(scenes.picture(near, faces, "#888888"))
    both = np.concatenate([near, far * 0.5]), np.concatenate([faces, faces + 4])
    other = pixels(scenes.picture(*both, "#888888"))
    np.testing.assert_array_equal(other[44:52, 44:52], one[44:52, 44:52])


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("decoded/shape-0001", "decoded"),
        ("interpolation/pair0_weights_03", "weights"),
        ("completion/scratch_shape-0002", "scratch"),
        ("original/shape-0003", "original"),
        ("something", "original"),
    ],
)
def test_a_color_says_where_a_mesh_is_from(name, like):
    assert scenes.color_of(name) == scenes.COLORS[like]

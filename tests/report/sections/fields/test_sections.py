"""The page of a space of fields: what it says of its tables, and what it is made of."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lib.experiments.columns import FIELD_CATALOGUE, FIELDS, LEFT_OUT, SHAPES
from lib.report import meshes, scenes
from lib.report.inputs import ReportError
from lib.report.sections import fields
from lib.report.sections.fields import interpolation, zoo
from lib.report.sections.fields.reconstruction import per_shape
from report_fixture import RUN
from shape_fixture import EXPERIMENTS, files_in, load, page, write_shapes

COLUMNS = FIELDS | {"shapes": SHAPES, "left_out": LEFT_OUT, "catalogue": FIELD_CATALOGUE}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / "results"
    write_shapes(root)
    return root


@pytest.fixture
def files(study, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(study, tmp_path / "results", ignore=shutil.ignore_patterns("meshes"))
    return files_in(tmp_path / "results")


def edit(path, change) -> None:
    frame = pd.read_csv(path)
    (change(frame) if callable(change) else frame.assign(**change)).to_csv(path, index=False)


def judge(files: dict) -> list[str]:
    data = load(files)
    found = [fields.PAGE.experiments[name](data) for name in data.experiments]
    return [verdict.state for section in found for verdict in section.verdicts]


# --- what it says -------------------------------------------------------------------------------


def test_a_good_study_reaches_its_goals(files):
    assert judge(files) == ["reached", "reached", "note", "reached", "note"]


def scaled(method: str, factor: float):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["method"] == method, "iou"] *= factor
        return frame

    return change


def test_decoded_shapes_that_lose_too_much_fall_short(files):
    edit(files["reconstruction"], scaled("decoded", 0.8))
    assert judge(files)[:2] == ["short", "reached"]


def test_a_decoder_no_better_than_a_search_falls_short(files):
    edit(files["reconstruction"], scaled("nearest", 1.5))
    assert judge(files)[:2] == ["reached", "short"]


def test_completion_no_better_than_from_scratch_falls_short(files):
    edit(files["completion"], scaled("scratch", 4))
    assert judge(files)[3] == "short"


def test_one_shape_settles_nothing(files):
    edit(files["completion"], lambda frame: frame[frame["shape"] == frame["shape"][0]])
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
    table = zoo.table(pd.read_csv(files["catalogue"]))
    assert [row[1].text for row in table.rows] == [
        "9 ok, 1 diverged",
        "3 ok, 0 diverged",
        "5 ok, 0 diverged",
    ]


def test_meshes_without_a_surface_are_counted(files):
    rows = interpolation.table(load(files)["interpolation"]).rows
    cells = {row[0].text: row for row in rows}
    assert cells["In the weights"][3].text == "50.0\u00a0%"
    assert cells["In the latent space"][3].text == "0.0\u00a0%"


@pytest.mark.parametrize("asked", [("completion", "sampling"), EXPERIMENTS[:2]])
def test_methods_are_explained_once_whatever_was_asked_for(files, asked):
    data = load(files, asked)
    first, *others = (fields.PAGE.experiments[name](data).blocks for name in asked)
    named = {name for table in asked for name in data[table]["method"]}
    assert len(first[-1].entries) == len(named)
    assert not any(type(block) is type(first[-1]) for blocks in others for block in blocks)


# --- the page -----------------------------------------------------------------------------------


def test_the_page_is_self_contained_small_and_names_its_data(files):
    html = page(files, RUN)
    assert len(html) < 15e6
    assert html.count("<script src") == html.count('rel="stylesheet"') == 0
    assert not re.search(r"""(src|href)=["'](https?:)?//""", html.split("<main", 1)[1])
    for name in FIELDS:
        assert f"shapes/{name}.csv" in html
    for name in ("shapes", "left_out", "catalogue"):
        assert f"zoos/chairs/{name}.csv" in html
    assert "Meshes that could not be used: 1." in html
    assert "Repaired meshes: turned and holes filled (1)." in html
    assert all(f'id="{name}"' in html for name in (*EXPERIMENTS, "map", "zoo", "training"))


def many(frame: pd.DataFrame, copies: int) -> pd.DataFrame:
    return pd.concat([frame.assign(shape=frame["shape"] + f"-{k}") for k in range(copies)])


def test_a_page_on_thousands_of_shapes_stays_below_15_mb(files):
    """Full budgets of meshes and pictures, and whatever else there is of each shape."""
    for name in ("latent_map", "catalogue", "shapes"):
        edit(files[name], lambda frame: many(frame, 200))
    edit(files["reconstruction"], lambda frame: many(frame, 600))
    lost = pd.DataFrame({"file": [f"{k}.off" for k in range(9000)], "reason": "no faces"})
    lost.to_csv(files["left_out"], index=False)
    made = json.loads(files["scenes"].read_text())
    (scene,) = scenes.reconstruction(pd.read_csv(files["reconstruction"]))
    made["meshes"] |= dict.fromkeys(scene.meshes, "")
    made["meshes"]["filling"] = "A" * (meshes.MESHES - sum(map(len, made["meshes"].values())))
    made["pictures"] = {"filling": "A" * meshes.PICTURES}
    files["scenes"].write_text(json.dumps(made))
    html = page(files, RUN)
    assert 14e6 < len(html) < 15e6
    assert "of 3,600 shapes" in html and "Meshes that could not be used: 9000." in html
    assert "300 of them" in html


def test_equal_tables_give_equal_pages(files):
    assert page(files, RUN) == page(files, RUN)


def test_text_from_outside_is_escaped(files):
    edit(files["shapes"], {"mended": "</script><b>"})
    html = page(files, RUN)
    assert "<b>" not in html.split("<main", 1)[1]
    assert "&lt;b&gt;bad&lt;/b&gt;.off" in html


def test_names_of_shapes_cannot_end_the_script(files):
    old, new = "shape-0013", "</script><i>"
    for table in ("reconstruction", "interpolation", "completion"):
        files[table].write_text(files[table].read_text().replace(old, new))
    made = json.loads(files["scenes"].read_text())
    for part in ("meshes", "pictures"):
        made[part] = {name.replace(old, new): data for name, data in made[part].items()}
    files["scenes"].write_text(json.dumps(made))
    assert "<i>" not in re.sub(r"<script.*?</script>", "", page(files, RUN), flags=re.S)


@pytest.mark.parametrize("name", files_in(Path()))
def test_a_missing_file_is_named(files, name):
    path = files["losses"][0] if name == "losses" else files[name]
    path.unlink()
    with pytest.raises(ReportError, match=f"{path.name}: no such file"):
        page(files, RUN)


@pytest.mark.parametrize("name", ["reconstruction", "sampling", "left_out"])
def test_a_missing_column_is_named(files, name):
    column = COLUMNS[name][1]
    edit(files[name], lambda frame: frame.drop(columns=column))
    with pytest.raises(ReportError, match=f"{name}.csv: lacks column {column}"):
        page(files, RUN)


def test_no_mesh_left_out_is_no_error(files):
    edit(files["left_out"], lambda frame: frame.iloc[:0])
    assert "could not be used" not in page(files, RUN)


def test_a_mesh_that_a_table_names_must_be_there(files):
    made = json.loads(files["scenes"].read_text())
    del made["meshes"]["reconstruction/decoded/shape-0015"]
    files["scenes"].write_text(json.dumps(made))
    with pytest.raises(ReportError, match="lacks the mesh reconstruction/decoded/shape-0015"):
        page(files, RUN)


def test_scenes_that_are_none_are_named(files):
    files["scenes"].write_text('{"meshes": {}}')
    with pytest.raises(ReportError, match="not the meshes of a page"):
        page(files, RUN)

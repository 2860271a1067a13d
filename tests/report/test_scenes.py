"""Which meshes of a space of fields turn on its page, and where their files are looked for."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from lib.data.archive import DataError
from lib.report import scenes
from lib.report.inputs import ReportError
from lib.report.meshes import read_meshes
from lib.report.methods import look
from shape_fixture import SPACE, ZOO, load, tables, write_shapes


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / "results"
    return root, write_shapes(root)


@pytest.fixture
def frame(study):
    return pd.read_csv(study[1]["reconstruction"])


def write(root, files, out, **more) -> int:
    return scenes.write_scenes(
        out, tables(files) | more, root / ZOO / "meshes", root / SPACE / "meshes"
    )


def test_every_mesh_of_every_scene_is_kept(study, tmp_path):
    root, files = study
    count = write(root, files, tmp_path / "scenes.json")
    assert (tmp_path / "scenes.json").read_bytes() == files["scenes"].read_bytes()
    page = load(files)
    shown = [scene for name in page.experiments for scene in scenes.scenes_of(page, name)]
    named = {name for scene in shown for name in scene.meshes}
    assert named == set(page.meshes.meshes) and len(named) == count
    pictures = {name for scene in shown for choice in scene.choices for name in choice.pictures}
    every = {f"original/{shape}" for shape in page["latent_map"]["shape"]}
    assert set(page.meshes.pictures) == pictures | every


def test_a_space_may_ask_for_few_experiments(study, tmp_path):
    root, files = study
    few = {name: files[name] for name in ("latent_map", "completion")}
    folders = root / ZOO / "meshes", root / SPACE / "meshes"
    scenes.write_scenes(tmp_path / "scenes.json", few, *folders)
    found = read_meshes(tmp_path / "scenes.json")
    assert {name.split("/")[0] for name in found.meshes} == {"original", "completion"}
    assert len(found.pictures) == 18
    few.pop("completion")
    assert scenes.write_scenes(tmp_path / "scenes.json", few, *folders) == 0


def test_many_test_shapes_are_cut_to_those_shown(frame):
    more = [frame.assign(shape=frame["shape"] + letter) for letter in "abcde"]
    (scene,) = scenes.reconstruction(pd.concat(more))
    assert len(scene.choices) == scenes.SHOWN < 5 * frame["shape"].nunique()
    assert [choice.panels[0][0] for choice in scene.choices][:2] == [
        "original/shape-0013a",
        "original/shape-0013b",
    ]


def test_a_mesh_that_a_table_names_must_be_there(study, tmp_path):
    root, files = study
    made = json.loads(files["scenes"].read_text())
    del made["meshes"]["reconstruction/decoded/shape-0015"]
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps(made))
    page = load(files | {"scenes": path})
    with pytest.raises(ReportError, match="lacks the mesh reconstruction/decoded/shape-0015"):
        scenes.scenes_of(page, "reconstruction")


def test_a_mesh_file_that_is_not_there_is_named(study, tmp_path):
    root, files = study
    shutil.copytree(root, tmp_path / "results")
    (tmp_path / "results" / SPACE / "meshes/reconstruction/mean/shape-0014.ply").unlink()
    with pytest.raises(DataError, match="mean/shape-0014.ply: no such file"):
        write(tmp_path / "results", files, tmp_path / "scenes.json")


def test_a_table_that_is_not_there_is_named(study, tmp_path):
    root, files = study
    with pytest.raises(ReportError, match="sampling.csv: no such file"):
        write(root, files, tmp_path / "scenes.json", sampling=tmp_path / "sampling.csv")


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("reconstruction/decoded/shape-0001", "decoded"),
        ("interpolation/pair0_weights_03", "weights"),
        ("completion/scratch_shape-0002", "scratch"),
        ("sampling/unseen_000", "unseen"),
        ("original/shape-0003", "original"),
        ("something", "original"),
    ],
)
def test_a_color_says_where_a_mesh_is_from(name, like):
    assert scenes.color_of(name) == look(like, "fields").color
    assert like == "original" or look(like, "fields").words

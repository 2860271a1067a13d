"""What the tiny study leaves behind of the space of one architecture and of the space of shapes."""

import pandas as pd
import pytest

from lib.study import load_study
from lib.zoo.store import Catalogue

COLUMNS = {
    "singlearch/reconstruction": "network architecture epochs method target_accuracy accuracy "
    "agreement agreement_other embedder seed",
    "singlearch/interpolation": "pair ends method gamma accuracy",
    "singlearch/latent_optimization": "start method step validation_accuracy test_accuracy",
    "singlearch/property_prediction": "features model target r2 r2_low r2_high kendall_tau tau_low "
    "tau_high",
    "shapes/reconstruction": "shape method embedder chamfer fscore_001 fscore_002 iou "
    "normal_consistency",
}
SHARES = ("accuracy", "agreement", "iou", "fscore")


@pytest.fixture(scope="module")
def cfg(source):
    return load_study(source / "config/tiny.yaml")


@pytest.fixture(scope="module")
def tables(study):
    return {name: pd.read_csv(study.results / f"{name}.csv") for name in COLUMNS}


@pytest.mark.parametrize("name", COLUMNS)
def test_each_table_has_its_columns_and_shares_between_0_and_1(tables, name):
    table = tables[name]
    assert set(COLUMNS[name].split()) <= set(table.columns) and len(table)
    for column in table:
        if column.startswith(SHARES) or column.endswith("_accuracy"):
            assert table[column].dropna().between(0, 1).all(), column


def test_each_network_of_one_architecture_is_compared_with_each_control(study, tables, cfg):
    table = tables["singlearch/reconstruction"]
    controls = {"constant", "nearest_weights", "nearest_agreement", "noise", "mean_weights"}
    assert set(table["method"]) >= {"decoded", "refined", "distilled", *controls}
    catalogue = Catalogue.load(study.results / "zoos/performance/catalogue.csv")
    wanted = catalogue.select(split="test")["network"].tolist()
    assert len(wanted) == cfg.zoos["performance"].instances.test
    for _, rows in table.groupby("method"):
        assert sorted(set(rows["network"])) == sorted(wanted)


def test_walks_in_one_architecture_go_four_ways(tables, cfg):
    table = tables["singlearch/interpolation"]
    assert set(table["method"]) == {"latent", "weights", "aligned", "aligned_reset"}
    assert table["gamma"].min() == 0 and table["gamma"].max() == 1
    explore = cfg.spaces["singlearch"].experiments.interpolation
    pairs = cfg.zoos["performance"].instances.test // 2
    assert len(table) == 4 * explore.points * min(explore.pairs_within, pairs)
    ends = table[(table["gamma"] == 0) & (table["method"] != "latent")]
    assert (ends.groupby("pair")["accuracy"].nunique() == 1).all()


def test_each_test_shape_is_measured_beside_its_controls(study, tables, cfg):
    table = tables["shapes/reconstruction"]
    assert set(table["method"]) == {"siren", "decoded", "nearest", "mean"}
    shapes = set(table["shape"])
    assert len(shapes) == cfg.zoos["chairs"].instances.test
    assert len(table) == 4 * len(shapes) and (table["chamfer"].dropna() >= 0).all()
    made = study.results / "shapes/meshes/reconstruction"
    folders = [made / method for method in ("siren", "decoded", "nearest", "mean")]
    for folder in (study.results / "zoos/chairs/meshes", *folders):
        assert shapes <= {path.stem for path in folder.glob("*.ply")}


def test_the_fields_are_a_zoo_like_any_other(study, cfg):
    catalogue = Catalogue.load(study.results / "zoos/chairs/catalogue.csv")
    found = catalogue.select()
    assert len(found) == cfg.zoos["chairs"].instances.total
    assert set(found["architecture"]) == {"SIREN"}


def test_every_space_has_a_report_that_the_index_opens_onto(study, cfg):
    index = (study.results / "report.html").read_text()
    assert set(cfg.made) == {"multiarch", "singlearch", "shapes"}
    for space in cfg.made:
        assert (study.results / f"{space}_report.html").stat().st_size < 15e6
        assert f"{space}_report.html" in index

"""Files that are missing, damaged or empty are named."""

import h5py
import numpy as np
import pandas as pd
import pytest

from lib.report.inputs import ReportError
from report_fixture import Results, write_several
from single_fixture import write_alone

NAMES = (
    "catalogue",
    "latent_map",
    "reconstruction",
    "interpolation",
    "latent_optimization",
    "unseen",
    "unseen_finetune",
    "novelty",
    "retrieval",
)


@pytest.fixture
def results(tmp_path) -> Results:
    return write_several(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


@pytest.mark.parametrize("name", NAMES)
def test_missing_damaged_or_empty_table_is_named(results, name):
    path = results.files[name]
    frame = pd.read_csv(path)
    frame.iloc[:0].to_csv(path, index=False)
    with pytest.raises(ReportError, match=f"{path.name}: holds no row"):
        results.load()
    frame.drop(columns="architecture").to_csv(path, index=False)
    with pytest.raises(ReportError, match=f"{path.name}: lacks column architecture"):
        results.load()
    path.write_bytes(b"")
    with pytest.raises(ReportError, match=f"{path.name}: not a readable CSV"):
        results.load()
    path.unlink()
    with pytest.raises(ReportError, match=f"{path.name}: no such file"):
        results.load()


def test_a_table_without_a_column_is_named(tmp_path):
    results = write_alone(tmp_path / "results")
    for name in results.experiments:
        whole = pd.read_csv(results.files[name])
        whole.drop(columns="seed").to_csv(results.files[name], index=False)
        with pytest.raises(ReportError, match=rf"{name}.csv: lacks column seed"):
            results.load()
        whole.to_csv(results.files[name], index=False)


def test_bad_preps_are_named(results):
    with h5py.File(results.files["preps"], "a") as file:
        del file["ResNet8/decoded"]
        file["ResNet8/decoded"] = np.zeros((2, 3), np.float32)
    with pytest.raises(ReportError, match=r"ResNet8/original is \(48, 200\)"):
        results.page()
    results.files["preps"].write_bytes(b"not HDF5")
    with pytest.raises(ReportError, match="not a readable HDF5 file"):
        results.page()


def test_a_card_that_is_none_is_named(results):
    card = results.files["card"]
    for text in ("{", "[]", '{"parameters": {}}'):
        card.write_text(text)
        with pytest.raises(ReportError, match=f"{card.name}: not the card of an embedder"):
            results.load()
    card.unlink()
    with pytest.raises(ReportError, match=f"{card.name}: no such file"):
        results.load()

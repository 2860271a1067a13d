"""Test shapes, out and back, with their controls."""

import pytest
import torch

from lib.config.experiments import FieldReconstruction
from lib.experiments.columns import FIELDS
from lib.experiments.fields import reconstruction
from lib.experiments.fields.reconstruction import stand_ins

pytestmark = pytest.mark.usefixtures("one_thread")


def test_what_stands_for_a_shape(boxes):
    embedder, train, test, _ = boxes
    flat = stand_ins(embedder, train, test)
    assert list(flat) == ["siren", "decoded", "nearest", "mean"]
    assert torch.equal(flat["siren"], test.flat)
    assert all(any(torch.equal(row, known) for known in train.flat) for row in flat["nearest"])
    assert torch.equal(flat["mean"][0], flat["mean"][1])
    nearest = stand_ins(embedder, train, train)["nearest"]
    assert torch.equal(nearest, train.flat)


def test_every_method_has_a_row_and_a_mesh_of_every_shape(field_task):
    task = field_task("reconstruction")
    table = reconstruction.run(task, FieldReconstruction())
    assert tuple(table.columns) == FIELDS["reconstruction"] and len(table) == 4 * 4
    assert set(table["seed"]) == {3} and set(table["embedder"]) == {"field_probing"}
    shapes = set(task.zoo["test"].frame["shape"])
    for method, rows in table.groupby("method"):
        assert set(rows["shape"]) == shapes
        assert {path.stem for path in (task.meshes / method).glob("*.ply")} == shapes
    by = table.groupby("method")["iou"].mean()
    assert by["siren"] == pytest.approx(1, abs=1e-3)  # the originals are these fields' own meshes
    assert by["siren"] > by["decoded"] > by["mean"]

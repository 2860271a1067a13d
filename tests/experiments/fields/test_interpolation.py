"""Walks between shapes."""

import pytest
import torch

from lib.config.experiments import FieldInterpolation
from lib.experiments.columns import FIELDS
from lib.experiments.fields import interpolation
from lib.experiments.fields.interpolation import pairs_of, walks

pytestmark = pytest.mark.usefixtures("one_thread")


def test_pairs_are_far_apart_and_share_no_shape():
    latents = torch.tensor([[0.0], [1.0], [5.0], [7.0]])
    assert pairs_of(latents, 2) == [(0, 3), (1, 2)]
    assert len(pairs_of(latents, 9)) == 2


def test_walks_begin_and_end_at_their_shapes(boxes):
    embedder, _, test, _ = boxes
    cfg = FieldInterpolation(points=3, pairs=1)
    walked = list(walks(embedder, cfg, test))
    assert [row["gamma"] for row, _ in walked] == [0, 0, 0.5, 0.5, 1, 1]
    first = test.frame["shape"].tolist().index(walked[0][0]["first"])
    last = test.frame["shape"].tolist().index(walked[0][0]["last"])
    flat = {(row["method"], row["gamma"]): field for row, field in walked}
    assert torch.equal(flat["weights", 0.0], test.flat[first])
    assert torch.equal(flat["weights", 1.0], test.flat[last])
    assert torch.allclose(flat["weights", 0.5], test.flat[[first, last]].mean(0), atol=1e-6)
    decoded = embedder.arm.decode("SIREN", embedder.arm.encode("SIREN", test.flat))
    assert torch.allclose(flat["latent", 0.0], decoded[first], atol=1e-5)


def test_every_point_of_a_walk_has_a_row_and_a_mesh(field_task):
    task = field_task("interpolation")
    table = interpolation.run(task, FieldInterpolation(points=3, pairs=2))
    assert tuple(table.columns) == FIELDS["interpolation"] and len(table) == 2 * 3 * 2
    assert {path.stem for path in task.meshes.glob("*.ply")} == set(table["mesh"])
    assert set(table["nearest"]) <= {*task.zoo["train"].frame["shape"], ""}
    ends = table[(table["method"] == "weights") & (table["point"] == 0)]
    assert (ends["volume"] > 0).all() and (ends["parts"] >= 1).all()

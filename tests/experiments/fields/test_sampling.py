"""New shapes."""

import pytest
import torch

from lib.config.experiments import FieldSampling
from lib.core.streams import Stream
from lib.experiments.columns import FIELDS
from lib.experiments.fields import sampling
from lib.experiments.fields.meshes import meshes
from lib.experiments.fields.sampling import samples

pytestmark = pytest.mark.usefixtures("one_thread")


def test_new_shapes_are_drawn_by_name(boxes):
    embedder, train, _, _ = boxes
    first, again = (samples(embedder, train, 3, Stream("test", "new")) for _ in range(2))
    other = samples(embedder, train, 3, Stream("test", "other"))
    assert torch.equal(first["latent"], again["latent"])
    assert not torch.equal(first["latent"], other["latent"])
    assert all(len(mesh.faces) for mesh in meshes(train.family, first["latent"], 16))


def test_new_shapes_stand_beside_real_ones(field_task):
    task = field_task("sampling")
    table = sampling.run(task, FieldSampling(samples=2))
    assert tuple(table.columns) == FIELDS["sampling"]
    assert table.groupby("method").size().to_dict() == {"latent": 2, "unseen": 2, "weights": 2}
    assert {path.stem for path in task.meshes.glob("*.ply")} == set(table["mesh"])

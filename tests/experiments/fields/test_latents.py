"""The map of shapes."""

import pytest

from lib.experiments.columns import FIELDS
from lib.experiments.fields import latents
from lib.experiments.fields.latents import latent_map

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_map_is_that_of_the_training_latents(boxes):
    embedder, train, test, _ = boxes
    places = latent_map(embedder, [train, test], 3)
    assert places["shape"].tolist() == [*train.frame["shape"], *test.frame["shape"]]
    assert places.loc[places["split"] == "train", ["x", "y"]].mean().abs().max() < 1e-5
    assert (places["seed"] == 3).all()


def test_every_embedder_has_a_map_of_all_shapes(field_task):
    task = field_task("latents")
    table = latents.run(task)
    assert tuple(table.columns) == FIELDS["latent_map"]
    assert table["split"].tolist() == ["train"] * 12 + ["test"] * (2 + 4)

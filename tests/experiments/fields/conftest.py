"""A space of boxes for the experiments on fields."""

import pandas as pd
import pytest
import torch

from lib.core.streams import Stream
from lib.embed.product import Embedder
from lib.experiments.fields.meshes import meshes, write
from lib.experiments.task import FieldTask
from lib.zoo.fields import family_of
from lib.zoo.population import Population
from toy_shapes import CFG, FIELD, ZOO, trained_arm, zoo


def population(fields, split):
    names = [f"{split}-{i}" for i in range(len(fields.flat))]
    frame = pd.DataFrame({"shape": names, "split": split, "iou": 0.9})
    return Population(family_of(ZOO), frame, fields.flat)


@pytest.fixture(scope="session")
def boxes():
    """An embedder, its training and test fields, and the points of both by split."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    at = {"train": zoo(12, 0), "test": zoo(4, 1)}
    arm, _ = trained_arm(CFG, *at.values())
    torch.set_num_threads(threads)
    card = {"image": [3], "classes": ["distance"], "field": FIELD}
    return Embedder(arm, card), *(population(fields, split) for split, fields in at.items()), at


@pytest.fixture
def field_task(boxes, tmp_path):
    """A task of an experiment by its name; the originals are the meshes of the fields."""
    embedder, train, test, _ = boxes
    for fields in (train, test):
        made = meshes(fields.family, fields.flat, 16)
        write(tmp_path / "originals", dict(zip(fields.frame["shape"], made, strict=True)))

    def make(experiment: str) -> FieldTask:
        return FieldTask(
            family=train.family,
            zoo={"train": train, "validation": test.first(2), "test": test},
            embedders={3: embedder},
            stream=Stream("space", 0, "boxes", experiment),
            seed=0,
            space=CFG.model_copy(update={"resolution": 16}),
            training=ZOO.training,
            field_zoo=ZOO,
            originals=tmp_path / "originals",
            meshes=tmp_path / "meshes" / experiment,
        )

    return make

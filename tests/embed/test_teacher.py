"""The teacher: of the zoo, or trained for it."""

from __future__ import annotations

import pytest
import torch

from lib.config import Teacher, Training
from lib.core.streams import Stream
from lib.core.tensors import save_file
from lib.embed.arm import EmbedderError
from lib.embed.teacher import load_teacher, teacher_logits
from lib.zoo.store import Catalogue
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


def outputs(toy, cfg: Teacher, **given):
    images = {"images": toy.images, "validation": toy.validation}
    return teacher_logits(
        cfg,
        space="mine",
        zoo="toy",
        catalogue=Catalogue.load(toy.catalogue),
        architectures=NAMES,
        stream=Stream("space", 0, "mine", "teacher"),
        **images | given,
    )


def test_the_teacher_is_the_mean_of_the_deepest_training_networks(toy):
    found = outputs(toy, Teacher())
    assert torch.allclose(found, toy.teacher) and found.shape == (96, 4)


def test_a_teacher_of_another_architecture_is_trained(toy):
    training = Training(epochs=2, batch_size=16, learning_rate=0.05)
    cfg = Teacher(architecture="ResNet14", networks=2, training=training)
    found = outputs(toy, cfg)
    assert found.equal(outputs(toy, cfg))
    assert found.shape == (96, 4) and found.isfinite().all()
    wild = cfg.model_copy(update={"training": training.model_copy(update={"learning_rate": 1e30})})
    wanted = (
        r"every teacher network \(ResNet14\) has diverged; lower "
        "spaces.mine.teacher.training.learning_rate"
    )
    with pytest.raises(EmbedderError, match=wanted):
        outputs(toy, wild)


def test_it_is_read_where_there_is_one(toy, tmp_path):
    save_file({"train": toy.teacher}, tmp_path / "teacher.safetensors")
    assert load_teacher(tmp_path / "teacher.safetensors").equal(toy.teacher)
    assert load_teacher(None) is None

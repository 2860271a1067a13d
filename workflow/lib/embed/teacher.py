"""The teacher: the outputs that decoded networks are pulled towards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lib import nets
from lib.config import Teacher
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.data.images import ImageSplit
from lib.embed.arm import EmbedderError
from lib.engine import ensemble
from lib.engine.training import Engine, train
from lib.zoo import population
from lib.zoo.store import Catalogue


def teacher_logits(
    cfg: Teacher,
    seed: int,
    catalogue: Catalogue,
    architectures: Sequence[str],
    images: ImageSplit,
    validation: ImageSplit,
    engine: Engine = Engine(),  # noqa: B008 (frozen)
    checkpoint: Checkpoint = NOWHERE,
) -> Tensor:
    """Logits [images, K] on the training images, averaged over the teacher's networks.

    They are the training networks of the last architecture of the zoo or, if the config names an
    architecture (ResNet56 in the paper), networks of that one trained here, with this checkpoint.
    """
    if cfg.architecture is None:
        last = architectures[-1]
        return population.load(catalogue, [last], "train", images)[last].outputs(images).mean(0)
    channels, size = images.x.shape[1:3]

    def build():
        return nets.build(cfg.architecture, channels, size, len(images.classes))

    names = [("teacher", seed, cfg.architecture, i) for i in range(cfg.networks)]
    engine = replace(engine, width=cfg.networks)
    trained = train(build, names, cfg.training, images, validation, engine, checkpoint)
    healthy = [i for i in range(cfg.networks) if trained.columns["status"][i] == "ok"]
    if not healthy:
        raise EmbedderError(
            f"every teacher network ({cfg.architecture}) has diverged; lower "
            "teacher.training.learning_rate"
        )
    stack = ensemble.select(trained.stack, torch.tensor(healthy))
    return ensemble.predict(build().to(images.x.device), stack, images.x).mean(0)

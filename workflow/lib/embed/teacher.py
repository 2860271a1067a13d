"""The teacher: the outputs that decoded networks are pulled towards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from lib import nets
from lib.config import Teacher
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.arm import EmbedderError
from lib.engine import ensemble
from lib.engine.training import Engine, train
from lib.zoo import population
from lib.zoo.store import Catalogue


def teacher_logits(
    cfg: Teacher,
    *,
    space: str,
    zoo: str,
    catalogue: Catalogue,
    architectures: Sequence[str],
    images: ImageSplit,
    validation: ImageSplit,
    stream: Stream,
    engine: Engine = Engine(),  # noqa: B008 (frozen)
    checkpoint: Checkpoint = NOWHERE,
) -> Tensor:
    """Logits [images, K] on the training images, averaged over the teacher's networks.

    They are the training networks of the last architecture of a zoo or, if the config names an
    architecture (ResNet56 in the paper), networks of that one trained here, with this checkpoint.

    Args:
        cfg: the teacher of a space.
        space: name of the space, for messages.
        zoo: name of the zoo whose networks are the teacher.
        catalogue: of that zoo.
        architectures: of that zoo, in class order.
        images: training images; validation: validation images.
        stream: network i that is trained draws from `stream.of(i)`.
        engine: what computes that training.
        checkpoint: see `lib.engine.training.train`.

    Raises:
        EmbedderError: every network that was trained has diverged.
        PopulationError: the zoo has no network that is left.
    """
    if cfg.architecture is None:
        last = architectures[-1]
        found = population.load(catalogue, [last], "train", images, zoo)
        return found[last].outputs(images).mean(0)
    channels, size = images.x.shape[1:3]
    where = f"spaces.{space}.teacher"

    def build():
        return nets.build(cfg.architecture, channels, size, len(images.classes))

    trained = train(
        build,
        [stream.of(i) for i in range(cfg.networks)],
        cfg.training,
        images,
        validation,
        engine=replace(engine, width=cfg.networks),
        checkpoint=checkpoint,
        where=where,
    )
    healthy = [i for i in range(cfg.networks) if trained.columns["status"][i] == "ok"]
    if not healthy:
        raise EmbedderError(
            f"every teacher network ({cfg.architecture}) has diverged; lower "
            f"{where}.training.learning_rate"
        )
    stack = ensemble.select(trained.stack, torch.tensor(healthy))
    return ensemble.predict(build().to(images.x.device), stack, images.x).mean(0)


def load_teacher(path: str | Path | None, device: str = "cpu") -> Tensor | None:
    """Its logits [images, K] on the training images, from a file; None where there is none."""
    return load_file(path, device)["train"] if path else None

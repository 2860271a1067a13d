"""The whole of an embedder's training: from a zoo and a config to the finished product."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lib.config import Embedding, FieldSpace, FieldZoo
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.data.sdf import read_samples
from lib.embed.fresh import fresh_networks
from lib.embed.objectives.classifiers import train_classifiers
from lib.embed.objectives.fields import train_fields
from lib.embed.product import Embedder, card_of, make_arm
from lib.embed.trainer import Curves
from lib.zoo import fields, population
from lib.zoo.store import Catalogue


def train_embedder(
    cfg: Embedding,
    *,
    space: str,
    zoo: str,
    catalogue: Catalogue,
    architectures: Sequence[str],
    images: ImageSplit,
    validation: ImageSplit,
    stream: Stream,
    seed: int,
    teacher: Tensor | None = None,
    left_out: Sequence[str] = (),
    fresh: int = 0,
    trained_on: int | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> tuple[Embedder, Curves]:
    """The embedder of a space of classifiers, on the CPU, and its loss curves.

    Args:
        cfg: the embedder and how it is trained.
        space, zoo: their names in the config.
        catalogue: of the zoo's networks, or of those of the architectures that are not left out.
        architectures: of the space, in class order.
        images: training images; validation: validation images.
        stream: `Stream("space", study's seed, space, "embedder", seed, *left_out)`.
        seed: which of the space's embedders it is.
        teacher: the teacher's logits on the training images [images, K], where they are needed.
        left_out: architectures that it never sees a trained network of.
        fresh: freshly initialised networks of each of those, which give the scale of their layers.
        trained_on: training networks of each architecture that it is given; by default all.
        checkpoint: see `trainer.fit`.

    Raises:
        EmbedderError: it cannot be built or trained so.
        PopulationError: an architecture has no network that is left.
    """
    where, seen = f"spaces.{space}.embedder", [n for n in architectures if n not in left_out]
    train, held_out = (
        population.load(catalogue, seen, split, images, zoo) for split in ("train", "validation")
    )
    unseen = {
        name: fresh_networks(name, images, fresh, stream.of("fresh", name), calibrated=True)
        for name in left_out
    }
    torch.manual_seed(stream.of("init").seed)
    image, classes = tuple(images.x.shape[1:]), len(images.classes)
    arm = make_arm(cfg, architectures, image, classes, where=where).to(images.x.device)
    curves = train_classifiers(
        arm,
        train={name: known.first(trained_on) for name, known in train.items()},
        held_out=held_out,
        images=images,
        validation=validation,
        stream=stream,
        teacher=teacher,
        fresh=unseen,
        checkpoint=checkpoint,
        where=where,
    )
    return Embedder(arm.cpu(), card_of(images, seed) | {"unseen": list(left_out)}), curves


def train_field_embedder(
    cfg: FieldSpace,
    field_zoo: FieldZoo,
    *,
    space: str,
    catalogue: Catalogue,
    near: Sequence[str | Path],
    uniform: Sequence[str | Path],
    stream: Stream,
    seed: int,
    checkpoint: Checkpoint = NOWHERE,
) -> tuple[Embedder, Curves]:
    """The embedder of a space of fields, and its loss curves.

    Args:
        cfg: the space.
        field_zoo: the zoo `cfg.zoo`.
        space: the space's name in the config.
        catalogue: of the zoo's fields.
        near, uniform: files of samples of their shapes (`lib.data.sdf`).
        stream: `Stream("space", study's seed, space, "embedder", seed)`.
        seed: which of the space's embedders it is.
        checkpoint: see `trainer.fit`.

    Raises:
        EmbedderError: it cannot be built or trained so.
        PopulationError: no field is left.
    """
    where, family = f"spaces.{space}.embedder", fields.family_of(field_zoo)
    points = [[read_samples(path) for path in paths] for paths in (near, uniform)]
    train, held_out = (
        fields.with_points(fields.load(catalogue, family, split, cfg.zoo), *points)
        for split in ("train", "validation")
    )
    torch.manual_seed(stream.of("init").seed)
    field = {"widths": field_zoo.widths, "omega": field_zoo.omega}
    arm = make_arm(cfg.embedder, [field_zoo.architecture], (3,), 1, field, where)
    curves = train_fields(
        arm,
        train=train.first(cfg.trained_on),
        held_out=held_out,
        space=cfg,
        stream=stream,
        checkpoint=checkpoint,
        where=where,
    )
    return Embedder(
        arm, {"image": [3], "classes": ["distance"], "field": field, "seed": seed}
    ), curves

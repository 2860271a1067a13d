"""An embedder that was given nothing of the middle architecture but fresh networks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lib.core.streams import Stream
from lib.embed.fresh import fresh_networks
from lib.embed.objectives.classifiers import train_classifiers
from lib.embed.product import Embedder, make_arm
from lib.zoo import population
from lib.zoo.store import Catalogue, CatalogueError
from toy import CFG, NAMES

LEFT, ENDS = "VanillaCNN", ("LeNetLike", "ResNet8")


@dataclass(frozen=True)
class LeftOut:
    """The embedder, the state it started from, and the fresh networks that it was given."""

    embedder: Embedder
    start: dict[str, Tensor]
    fresh: Tensor


def trained(toy) -> LeftOut:
    """Train it."""
    # The catalogue of a job that is given the shards of the seen architectures alone.
    shards = [toy.catalogue.parent / f"{name}.h5" for name in ENDS]
    catalogue = Catalogue.build(shards, ENDS)
    with pytest.raises(CatalogueError, match=LEFT):
        population.load(catalogue, [LEFT], "train", toy.images, "toy")
    zoo = {
        split: population.load(catalogue, ENDS, split, toy.images, "toy")
        for split in ("train", "validation")
    }
    torch.manual_seed(0)
    arm = make_arm(CFG.model_copy(update={"steps": 200}), NAMES, (1, 8, 8), 4)
    fresh = {LEFT: fresh_networks(LEFT, toy.images, 2, Stream("fresh"), calibrated=True)}
    start, prepare = {}, arm.prepare

    def kept(networks, *others):
        prepare(networks, *others)
        start.update({name: value.clone() for name, value in arm.state_dict().items()})

    arm.prepare = kept
    train_classifiers(
        arm,
        train=zoo["train"],
        held_out=zoo["validation"],
        images=toy.images,
        validation=toy.validation,
        stream=Stream("toy", 0),
        teacher=toy.teacher,
        fresh=fresh,
    )
    card = {"image": [1, 8, 8], "classes": toy.images.classes}
    return LeftOut(Embedder(arm, card), start, fresh[LEFT])

"""Latents moved so that what is decoded fits better."""

from __future__ import annotations

import pytest
import torch

from lib.config import Embedding, LossWeights
from lib.core.streams import Stream
from lib.embed import losses
from lib.embed.product import make_arm
from lib.embed.refine import refine

NAME = "ResNet8"
ONE = Embedding(
    arm="readout",
    latent=140,
    probes=48,
    steps=24,
    networks=3,
    batch_size=24,
    learning_rate=1e-3,
    temperature=0.5,
    temperature_unit="spread",
    versions=2,
    weight_noise=0.2,
    select_every=12,
    weights=LossWeights(own=1, teacher=0, label=0, interpolation=0),
)

pytestmark = pytest.mark.usefixtures("one_thread")


def fresh_one(cfg: Embedding = ONE):
    torch.manual_seed(0)
    return make_arm(cfg, [NAME], (1, 8, 8), 4)


def prepared(toy, cfg: Embedding = ONE):
    arm, train = fresh_one(cfg), toy.zoo["train"][NAME]
    arm.prepare({NAME: train.flat}, {NAME: train.scores}, toy.images.x, Stream("prepare").torch())
    return arm


def test_refinement_lowers_the_loss_and_shows_its_way(toy):
    arm, flat = prepared(toy), toy.zoo["test"][NAME].flat
    targets, seen = toy.zoo["test"][NAME].outputs(toy.images), []

    def loss(run, rng):
        return losses.own_loss(run(toy.images.x), targets, ONE)

    how = {"stream": Stream("r"), "steps": 20, "rate": 0.02}
    with torch.no_grad():
        start = arm.encode(NAME, flat)
    found = refine(arm, NAME, start, loss, **how, every=10, watch=lambda step, _: seen.append(step))
    with torch.no_grad():
        first, last = (loss(lambda x, z=z: arm.run(NAME, z, x), None) for z in (start, found))
    assert (last < first).all() and seen == [0, 10, 20]
    assert found.equal(refine(arm, NAME, start, loss, **how))

"""The arm that reads a last layer out."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lib.config import Embedding, LossWeights
from lib.core.streams import Stream
from lib.embed import Embedder, load_embedder, losses
from lib.embed.arm import EmbedderError
from lib.embed.arms.readout import beheaded
from lib.embed.product import make_arm
from lib.engine import ensemble
from lib.engine.family import Family

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


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fresh_one(cfg: Embedding = ONE):
    torch.manual_seed(0)
    return make_arm(cfg, [NAME], (1, 8, 8), 4)


def prepared(toy, cfg: Embedding = ONE):
    arm, train = fresh_one(cfg), toy.zoo["train"][NAME]
    arm.prepare({NAME: train.flat}, {NAME: train.scores}, toy.images.x, Stream("prepare").torch())
    return arm


@torch.no_grad()
def test_the_encoder_moves_the_trunk_towards_what_a_network_answers(toy):
    networks = toy.zoo["test"][NAME].flat
    arm = prepared(toy)
    arm.settle({NAME: toy.zoo["train"][NAME].flat}, Stream("s").torch())
    still = copy.deepcopy(arm)
    still.options = still.options.model_copy(update={"iterations": 0})
    wanted = arm.family.predict(networks, arm.probes)
    moved, unmoved = arm.encode(NAME, networks), still.encode(NAME, networks)
    count = len(arm.directions)
    assert moved[:, -count:].any(1).all() and not unmoved[:, -count:].any()

    def distance(latents):
        difference = arm.run(NAME, latents, arm.probes) - wanted
        return (difference - difference.mean(-1, keepdim=True)).square().mean((1, 2))

    assert (distance(moved) < distance(unmoved)).all()


def test_a_network_without_its_last_layer_gives_what_that_was_given(toy):
    family, flat = toy.zoo["test"][NAME].family, toy.zoo["test"][NAME].flat
    body, place = beheaded(family)
    assert sorted(place.tolist()) == list(range(family.layout.size))
    state = family.layout.unflatten(flat)
    features = body.run(flat[:, place < body.layout.size], toy.test.x)
    outputs = features @ state["head.weight"].transpose(1, 2) + state["head.bias"][:, None]
    assert torch.allclose(outputs, family.run(flat, toy.test.x), atol=1e-4)


def test_networks_that_do_not_end_in_a_linear_layer_are_refused(toy):
    layout = toy.zoo["test"][NAME].family.layout
    odd = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Softmax(-1))
    with pytest.raises(EmbedderError, match="ends in Softmax"):
        beheaded(Family("Odd", odd, layout))


def test_the_arm_holds_one_architecture():
    with pytest.raises(EmbedderError, match="one architecture, got ResNet8, LeNetLike"):
        make_arm(ONE, [NAME, "LeNetLike"], (1, 8, 8), 4)


@pytest.mark.parametrize("latent", [133, 140])
def test_the_network_that_the_trunk_is_taken_from_comes_back(toy, latent):
    arm = prepared(toy, ONE.model_copy(update={"latent": latent}))
    best = toy.zoo["train"][NAME].best()[None]
    with torch.no_grad():
        found = arm.decode(NAME, arm.encode(NAME, best))
    family = arm.families[NAME]
    wanted, outputs = family.predict(best, toy.test.x), family.predict(found, toy.test.x)
    assert ensemble.agreement(outputs, wanted).item() > 0.95
    spreads = [losses.spread_of(part).item() for part in (outputs, wanted)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.1), "how sure it is comes back too"


@pytest.mark.parametrize("latent", [16, 133, 140])
def test_what_is_run_is_what_is_decoded(toy, latent):
    arm = prepared(toy, ONE.model_copy(update={"latent": latent}))
    latents = noise(3, latent)
    decoded = arm.families[NAME].run(arm.decode(NAME, latents), toy.test.x)
    assert torch.allclose(arm.run(NAME, latents, toy.test.x), decoded, atol=1e-3, rtol=1e-3)
    assert arm.encode(NAME, toy.zoo["test"][NAME].flat).shape == (2, latent)


def test_a_trained_arm_is_saved_and_loaded(toy, tmp_path):
    arm = prepared(toy)
    Embedder(arm, toy.embedder.card).save(tmp_path / "one.safetensors")
    loaded = load_embedder(tmp_path / "one.safetensors")
    flat = toy.zoo["test"][NAME].flat
    assert loaded.arm.encode(NAME, flat).equal(arm.encode(NAME, flat))
    module = loaded.decode(loaded.arm.encode(NAME, flat)[0])
    assert module.architecture == NAME

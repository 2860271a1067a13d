"""Embedders of classifiers, of several architectures and of one: what training does and leaves."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.config import Embedding, LossWeights
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import EmbedderError
from lib.embed.batches import noisy_images
from lib.embed.between import between, mix
from lib.embed.fresh import fresh_networks
from lib.embed.objectives.classifiers import (
    Batch,
    Classifiers,
    scores,
    step_losses,
)
from lib.embed.pool import Pool
from lib.embed.product import make_arm
from lib.experiments import controls
from lib.zoo.population import Population, flats
from toy import CFG, NAMES

PAIR = ("LeNetLike", "VanillaCNN")
FOUR = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
SHORT = CFG.model_copy(update={"steps": 6, "select_every": 3, "networks": 2})
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


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=rng(seed))


def fresh_arm(names=NAMES, cfg=CFG, seed: int = 0):
    torch.manual_seed(seed)
    return make_arm(cfg, names, (1, 8, 8), 4)


def values(curves, name: str) -> list[float]:
    return [value for _, what, value in curves.rows if what == name]


def held_out(toy, names=NAMES, **changes):
    """The objective of the toy's embedder, its training networks in the place of held-out ones."""
    arm = toy.embedder.arm
    networks = {name: toy.networks[name] for name in names}
    return Classifiers(arm, None, networks, toy.images, toy.validation)


def fresh_one(cfg: Embedding = ONE):
    torch.manual_seed(0)
    return make_arm(cfg, [NAME], (1, 8, 8), 4)


def prepared(toy, cfg: Embedding = ONE):
    arm, train = fresh_one(cfg), toy.zoo["train"][NAME]
    arm.prepare({NAME: train.flat}, {NAME: train.scores}, toy.images.x, Stream("prepare").torch())
    return arm


def trained_one(toy, cfg: Embedding):
    return toy.fit(cfg, (NAME,), stream=Stream("toy"), teacher=None)


@pytest.mark.parametrize("names", [PAIR, NAMES, FOUR])
def test_interpolated_latents_are_decoded_as_the_inner_architectures(names, monkeypatch, toy):
    arm, decoded = fresh_arm(names), []
    networks = {name: 0.1 * logits(2, family.layout.size) for name, family in arm.families.items()}
    arm.prepare(networks, {name: torch.zeros(2) for name in names}, toy.images.x, rng())
    ends = [arm.encode(name, networks[name]) for name in (names[0], names[-1])]
    decode = arm.decode
    monkeypatch.setattr(arm, "decode", lambda *given: decoded.append(given) or decode(*given))
    x, y, teacher = toy.images.x[:6], toy.images.y[:4], toy.teacher[:4]
    seen = {name: arm.observe(name, flat) for name, flat in networks.items()}
    parts = step_losses(arm, Batch(networks, seen, x, y, teacher))
    assert [name for name, _ in decoded] == [*names, *names[1:-1]]
    for (_, latent), gamma in zip(decoded[len(names) :], between(len(names)), strict=True):
        assert latent.equal(mix(*ends, gamma))
    assert ("interpolation" in parts) == (len(names) > 2)
    assert all(part.isfinite() for part in parts.values())


def test_training_overfits_a_handful_of_networks(toy):
    changes = {"steps": 110, "select_every": 110, "learning_rate": 1e-2, "rank": 16}
    alone = LossWeights(teacher=0, label=0, interpolation=0)
    cfg = CFG.model_copy(update=changes | {"weights": alone, "weight_noise": 0, "image_noise": 0})
    few = {name: found.first(2) for name, found in toy.zoo["train"].items()}
    arm, curves = toy.fit(cfg, train=few)
    own = values(curves, "own")
    assert own[-1] < 0.1 * own[0]
    for k, (name, flat) in enumerate(flats(few).items()):
        latents = arm.encode(name, flat)
        assert arm.classify(latents).argmax(-1).tolist() == [k, k]
        given, back = (
            arm.families[name].predict(some, toy.images.x)
            for some in (flat, arm.decode(name, latents).detach())
        )
        agreed = (given.argmax(-1)[:, None] == back.argmax(-1)[None]).float().mean(-1)
        assert agreed.diagonal().min() > 0.9


def test_equal_runs_give_equal_bits_and_other_seeds_others(toy):
    (first, one), (second, two), (other, _) = (toy.fit(SHORT, PAIR, seed) for seed in (0, 0, 1))
    assert one.rows == two.rows
    for (name, value), again in zip(
        first.state_dict().items(), second.state_dict().values(), strict=True
    ):
        assert value.equal(again), name
    assert not first.trunk.weight.equal(other.trunk.weight)


def test_the_best_checkpoint_is_kept(toy, monkeypatch):
    seen = []

    def scripted(self):
        seen.append({name: value.clone() for name, value in self.arm.state_dict().items()})
        return {"validation_agreement": [0.2, 0.7, 0.7][len(seen) - 1]}

    monkeypatch.setattr(Classifiers, "validate", scripted)
    cfg = SHORT.model_copy(update={"steps": 7})
    arm, curves = toy.fit(cfg, PAIR)
    assert [step for step, name, _ in curves.rows if name == "validation_agreement"] == [3, 6, 7]
    assert [(step, v) for step, name, v in curves.rows if name == "selected"] == [
        (3, 0.2),
        (6, 0.7),
    ]
    assert all(value.equal(seen[1][name]) for name, value in arm.state_dict().items())
    assert not seen[1]["trunk.weight"].equal(seen[2]["trunk.weight"])


def test_a_loss_that_is_not_finite_is_a_clear_error(toy):
    wanted = "spaces.mine.embedder.learning_rate must be lower: the loss is not finite at step 1"
    with pytest.raises(EmbedderError, match=wanted):
        teacher = torch.full_like(toy.teacher, torch.nan)
        toy.fit(SHORT, PAIR, teacher=teacher, where="spaces.mine.embedder")


def test_an_architecture_without_networks_is_a_clear_error(toy):
    with pytest.raises(EmbedderError, match="no VanillaCNN to train the embedder with"):
        train = {name: toy.zoo["train"][name].first(3 * (name == "LeNetLike")) for name in PAIR}
        toy.fit(SHORT, PAIR, train=train)


def test_validation_counts_a_wrong_architecture_as_zero(toy, monkeypatch):
    arm = toy.embedder.arm
    right = held_out(toy).validate()
    only_first = F.one_hot(torch.tensor(0), 3).float()
    monkeypatch.setattr(arm, "classify", lambda latent: only_first.expand(len(latent), -1))
    objective, first = held_out(toy), held_out(toy, NAMES[:1])
    found, alone = objective.validate(), first.validate()
    for name in ("validation_accuracy", "validation_agreement"):
        assert found[name] == pytest.approx(alone[name] / 3)
        assert found[name] < right[name]
    assert found["validation_interpolation"] == 0
    assert "validation_interpolation" not in alone
    assert first.score(alone) == alone["validation_agreement"]
    assert objective.score(found) == found["validation_agreement"]


def test_training_and_controls_stay_on_the_device_of_the_images(toy):
    # Tensors on `meta` have no content; an operation of theirs with a CPU tensor is an error.
    arm = fresh_arm().to("meta")
    modules = [family.module for family in arm.families.values()]
    assert {p.device.type for module in modules for p in module.parameters()} == {"meta"}
    assert not any("module" in name for name in arm.state_dict())
    x, y, teacher = (part.to("meta") for part in (toy.images.x, toy.images.y, toy.teacher))
    images = ImageSplit(x, y, toy.images.classes, "toy", "")
    networks = {name: flat.to("meta") for name, flat in toy.networks.items()}
    arm.prepare(networks, {name: torch.zeros(3) for name in networks}, x, rng())
    flat, seen = Pool.of(arm, networks, 2, Stream("pool")).draw(2, rng())
    batch, chosen = noisy_images(images, CFG, rng())
    clean = chosen[:8]
    parts = step_losses(arm, Batch(flat, seen, batch, y[clean], teacher[clean]))
    sum(parts.values()).backward()
    assert {part.device.type for part in parts.values()} == {"meta"}
    for name, family in arm.families.items():
        train = Population(family, toy.zoo["train"][name].frame, networks[name])
        noisy = controls.noisy(train, 2, 0.1, Stream("noise"))
        fresh = controls.distill(
            family,
            fresh_networks(name, images, 2, Stream("fresh")),
            lambda run, _: losses.labels(run(x), y),
            stream=Stream("distil"),
            steps=1,
            rate=0.01,
        )
        assert noisy.device.type == fresh.device.type == train.best().device.type == "meta"


@pytest.mark.parametrize(("noise", "said"), [(0.01, 0), (5.0, 3)])
def test_noise_that_breaks_networks_is_said(toy, caplog, noise, said):
    cfg = SHORT.model_copy(update={"weight_noise": noise, "steps": 1})
    toy.fit(cfg, stream=Stream("noise"), where="spaces.mine.embedder")
    assert caplog.text.count("lower spaces.mine.embedder.weight_noise") == said


def test_scores_are_means_over_networks():
    y = torch.tensor([0, 1, 2, 3])
    right = nn.functional.one_hot(y, 4).float()
    wrong = nn.functional.one_hot(torch.tensor([0, 1, 3, 2]), 4).float()
    found = scores(torch.stack([right, wrong]), torch.stack([right, right]), y)
    found = {name: value.item() for name, value in found.items()}
    assert found == {"accuracy": 0.75, "agreement": 0.75, "error": 0.25}


@pytest.mark.parametrize("changes", [{}, {"arm": "probing", "latent": 32, "steps": 60}])
def test_the_loss_falls(toy, changes):
    arm, curves = trained_one(toy, ONE.model_copy(update=changes))
    table = pd.DataFrame(curves.rows, columns=["step", "name", "value"])
    selected = table.loc[table["name"] == "validation_agreement", "value"]
    assert len(selected) >= 2 and selected.between(0, 1).all()
    before = prepared(toy, arm.cfg)
    x, flat = toy.images.x, toy.zoo["train"][NAME].flat
    with torch.no_grad():
        targets = toy.zoo["train"][NAME].outputs(toy.images)
        first, last = (
            losses.own_loss(one.run(NAME, one.encode(NAME, flat), x), targets, ONE).mean()
            for one in (before, arm)
        )
    assert last < first

"""The space of one architecture: its loss, the arm that reads a last layer out, its table."""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib.config import ConfigError, Controls, Embedding, SingleArch
from lib.core.repro import generator
from lib.embed import losses, singlearch
from lib.embed.arm import EmbedderError
from lib.embed.arms.readout import beheaded
from lib.embed.fitting import RIDGE, bend, fit_last, weigh
from lib.embed.product import Embedder, load_embedder, make_arm
from lib.embed.refine import refine
from lib.engine import ensemble
from lib.engine.family import Family
from lib.evaluate import performance, single_ablation
from lib.evaluate import singlearch as evaluation
from lib.evaluate.variants import of_networks
from lib.study import parse_study

NAME = "ResNet8"
CFG = Embedding(
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
)

pytestmark = pytest.mark.usefixtures("one_thread")


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fresh(cfg: Embedding = CFG):
    torch.manual_seed(0)
    return make_arm(cfg, [NAME], (1, 8, 8), 4)


def prepared(toy, cfg: Embedding = CFG):
    arm, train = fresh(cfg), toy.zoo["train"][NAME]
    arm.prepare({NAME: train.flat}, {NAME: train.scores}, toy.images.x, generator("prepare"))
    return arm


# The config


def test_what_is_left_out_is_at_the_defaults_of_the_block():
    default = SingleArch()
    found = parse_study({"singlearch": {"training": {"batch_size": 32}, "embedder": {"steps": 9}}})
    training = default.training.model_copy(update={"batch_size": 32})
    assert found.singlearch.training == training
    assert found.singlearch.embedder == default.embedder.model_copy(update={"steps": 9})


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"architecture": "ResNet9"}, "singlearch.architecture: unknown architecture"),
        ({"embedder": {"arm": "strong"}}, "singlearch.embedder.arm: unknown embedder arm"),
        (
            {"ablations": {"odd": {"embedder": {"latnt": 3}}}},
            "singlearch.ablations.odd: embedder.latnt: no such key; did you mean latent",
        ),
        (
            {"ablations": {"odd": {"instances": {"train": 3}}}},
            "singlearch.ablations.odd: instances would need another zoo",
        ),
        ({"training": {"epochs": 0}}, "singlearch.training.epochs"),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_work(block, message):
    with pytest.raises(ConfigError, match=message):
        parse_study({"singlearch": block})


def test_a_variant_changes_what_it_names_and_nothing_else():
    cfg = SingleArch(ablations={"mine": {"embedder": {"steps": 7}, "trained_on": 50}})
    wanted = cfg.embedder.model_copy(update={"steps": 7})
    assert cfg.variant("mine") == cfg.model_copy(update={"embedder": wanted, "trained_on": 50})


# The loss


def test_in_units_of_spread_the_scale_of_a_network_does_not_count():
    outputs, targets = logits(2, 9, 4), logits(2, 9, 4, seed=1)
    factor = torch.tensor([0.01, 30.0])[:, None, None]
    found = singlearch.own_loss(outputs, targets, CFG)
    assert torch.allclose(singlearch.own_loss(factor * outputs, factor * targets, CFG), found)
    assert singlearch.own_loss(targets + 3, targets, CFG).abs().max() < 1e-6


def test_in_units_of_logits_the_loss_is_that_of_the_paper():
    outputs, targets = logits(2, 9, 4), logits(2, 9, 4, seed=1)
    paper = Embedding(temperature=4.0)
    wanted = losses.distillation(outputs, targets, 4.0)
    assert singlearch.own_loss(outputs, targets, paper).equal(wanted)


def test_scores_are_means_over_networks():
    y = torch.tensor([0, 1, 2, 3])
    right = nn.functional.one_hot(y, 4).float()
    wrong = nn.functional.one_hot(torch.tensor([0, 1, 3, 2]), 4).float()
    found = singlearch.scores(torch.stack([right, wrong]), torch.stack([right, right]), y)
    assert found == {"accuracy": 0.75, "agreement": 0.75, "error": 0.25}


# The arm


def test_a_last_layer_that_gives_the_logits_is_found():
    features, last = logits(1, 60, 7), logits(3, 7, 4, seed=1)
    found = fit_last(features, features @ last)
    assert torch.allclose(found, last, atol=2e-3)
    each = fit_last(features.expand(3, -1, -1) + 0, features @ last)
    assert torch.allclose(each, found, atol=1e-4)


def test_a_step_of_trunk_and_last_layer_is_that_of_least_squares():
    features, tangents = logits(60, 4, 1)[..., 0], logits(5, 60, 3, seed=1)
    features[:, -1] = 1
    wanted = logits(2, 60, 4, seed=2)
    last = fit_last(features[None], wanted)
    found = bend(tangents, features, last, wanted, iterations=30)
    ridge = (RIDGE * 60 * features.square().mean()).sqrt() * torch.eye(4)
    for network in range(2):
        root = weigh(wanted)[network].sqrt()
        effects = tangents @ last[network, :-1]  # M, B, K
        rows = [(root * effect).T.flatten() for effect in effects]
        rows = torch.stack([torch.cat([row, torch.zeros(16)]) for row in rows], 1)
        layers = torch.block_diag(*(root[:, k, None] * features for k in range(4)))
        layers = torch.cat([layers, torch.block_diag(ridge, ridge, ridge, ridge)])
        rest = (root * (wanted[network] - features @ last[network])).T.flatten()
        solved = torch.linalg.lstsq(
            torch.cat([rows, layers], 1), torch.cat([rest, torch.zeros(16)])[:, None]
        )
        assert torch.allclose(found[network], solved.solution[:5, 0], atol=1e-3)


@torch.no_grad()
def test_the_encoder_moves_the_trunk_towards_what_a_network_answers(toy):
    networks = toy.zoo["test"][NAME].flat
    arm = prepared(toy)
    arm.settle({NAME: toy.zoo["train"][NAME].flat}, generator("s"))
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
        make_arm(CFG, [NAME, "LeNetLike"], (1, 8, 8), 4)


@pytest.mark.parametrize("latent", [133, 140])
def test_the_network_that_the_trunk_is_taken_from_comes_back(toy, latent):
    arm = prepared(toy, CFG.model_copy(update={"latent": latent}))
    best = toy.zoo["train"][NAME].best()[None]
    with torch.no_grad():
        found = arm.decode(NAME, arm.encode(NAME, best))
    family = arm.families[NAME]
    wanted, outputs = family.predict(best, toy.test.x), family.predict(found, toy.test.x)
    assert ensemble.agreement(outputs, wanted).item() > 0.95
    spreads = [singlearch.spread_of(part).item() for part in (outputs, wanted)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.1), "how sure it is comes back too"


@pytest.mark.parametrize("latent", [16, 133, 140])
def test_what_is_run_is_what_is_decoded(toy, latent):
    arm = prepared(toy, CFG.model_copy(update={"latent": latent}))
    latents = logits(3, latent)
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


# Training and refinement


def trained(toy, cfg: Embedding):
    train, held_out = (toy.zoo[split][NAME] for split in ("train", "validation"))
    arm = fresh(cfg)
    arguments = train.flat, train.scores, held_out.flat, toy.images, toy.validation
    return arm, singlearch.train(arm, ("toy",), *arguments)


@pytest.mark.parametrize("changes", [{}, {"arm": "probing", "latent": 32, "steps": 60}])
def test_the_loss_falls(toy, changes):
    arm, curves = trained(toy, CFG.model_copy(update=changes))
    table = pd.DataFrame(curves.rows, columns=["step", "name", "value"])
    selected = table.loc[table["name"] == "validation_agreement", "value"]
    assert len(selected) >= 2 and selected.between(0, 1).all()
    before = prepared(toy, arm.cfg)
    x, flat = toy.images.x, toy.zoo["train"][NAME].flat
    with torch.no_grad():
        targets = toy.zoo["train"][NAME].outputs(toy.images)
        first, last = (
            singlearch.own_loss(one.run(NAME, one.encode(NAME, flat), x), targets, CFG).mean()
            for one in (before, arm)
        )
    assert last < first


def test_an_arm_of_several_architectures_is_refused(toy):
    torch.manual_seed(0)
    arm = make_arm(CFG.model_copy(update={"arm": "probing"}), [NAME, "LeNetLike"], (1, 8, 8), 4)
    flat = toy.zoo["train"][NAME].flat
    with pytest.raises(EmbedderError, match="one architecture, got ResNet8, LeNetLike"):
        singlearch.train(arm, ("toy",), flat, flat[:, 0], flat, toy.images, toy.validation)


def test_refinement_lowers_the_loss_and_shows_its_way(toy):
    arm, flat = prepared(toy), toy.zoo["test"][NAME].flat
    targets, seen = toy.zoo["test"][NAME].outputs(toy.images), []

    def loss(run, rng):
        return singlearch.own_loss(run(toy.images.x), targets, CFG)

    with torch.no_grad():
        start = arm.encode(NAME, flat)
    found = refine(arm, NAME, start, ("r",), 20, 0.02, loss, 10, lambda step, _: seen.append(step))
    with torch.no_grad():
        first, last = (loss(lambda x, z=z: arm.run(NAME, z, x), None) for z in (start, found))
    assert (last < first).all() and seen == [0, 10, 20]
    assert found.equal(refine(arm, NAME, start, ("r",), 20, 0.02, loss))


# The table


def test_principal_components_hold_what_they_span(toy):
    known = toy.zoo["train"][NAME].flat
    assert torch.allclose(evaluation.pca(known, known, 16), known, atol=1e-4)
    mean = known.mean(0)
    off = mean + logits(1, known.shape[1])
    projected = evaluation.pca(known, off, 16)
    assert (projected - mean).norm() < 0.5 * (off - mean).norm()


def test_each_method_has_a_row_for_each_network(toy):
    train, test = toy.zoo["train"][NAME], toy.zoo["test"][NAME]
    task = evaluation.Reconstruction(train, test, toy.images, toy.test, 0, 5)
    cfg = SingleArch(refine_steps=3, refine_batch=8)
    embedder = Embedder(prepared(toy), {})
    rows = task.decoded_rows(embedder, 7) + task.refined_rows(embedder, 7, cfg)
    rows += task.control_rows(Controls(), CFG, cfg)
    table = evaluation.table(rows)
    assert table.groupby("method")["network"].apply(list).map(lambda n: n == test.names).all()
    wanted = {"decoded", "refined", "constant", "nearest_weights", "nearest_agreement", "pca"}
    assert set(table["method"]) == wanted | {"readout", "noise", "mean_weights", "distilled"}
    own = table[table["embedder"] == "readout"]
    assert set(own["seed"]) == {7}
    assert own["compression"].tolist() == pytest.approx([test.flat.shape[1] / CFG.latent] * 4)
    assert (table.groupby("network")["target_accuracy"].nunique() == 1).all()


def test_variants_are_scored_on_every_split_with_look_up_beside_them(toy):
    zoo = {split: found[NAME] for split, found in toy.zoo.items()}
    images = {"train": toy.images, "validation": toy.validation, "test": toy.test}
    cfg = SingleArch(refine_steps=2, refine_batch=8, trained_on=2)
    embedder = Embedder(prepared(toy), {})
    found = single_ablation.scores(embedder, "mine", 3, cfg, zoo, images, 0, 5)
    methods = found.groupby("split")["method"].unique().map(set).to_dict()
    all_four = {"decoded", "refined", "nearest_agreement", "readout"}
    assert methods == {"train": {"decoded"}, "validation": all_four, "test": all_four}
    assert set(found.loc[found["split"] == "train", "network"]) == set(zoo["train"].names[:2])
    table = of_networks(found)
    assert len(table) == 1 + 4 + 4 and set(table["trained_on"]) == {2}
    assert set(table["latent_size"]) == {CFG.latent}


def frame(target, given, agreement=1.0) -> pd.DataFrame:
    count = len(target)
    return pd.DataFrame(
        {
            "network": [f"n{i}" for i in range(count)],
            "method": "decoded",
            "embedder": "readout",
            "seed": 0,
            "target_accuracy": target,
            "accuracy": given,
            "agreement": agreement,
            "agreement_other": 0.5,
            "compression": 20.0,
        }
    )


def test_what_comes_back_exactly_is_summed_up_so():
    target = np.linspace(0.1, 1.0, 11)
    (row,) = performance.summary(frame(target, target)).to_dict("records")
    assert (row["error"], row["r2"], row["kendall_tau"], row["agreement"]) == (0, 1, 1, 1)
    assert row["correlation"] == pytest.approx(1) and row["networks"] == 11
    (row,) = performance.summary(frame(target, 1.1 - target)).to_dict("records")
    assert row["correlation"] == pytest.approx(-1) and row["kendall_tau"] == -1


def test_a_constant_has_no_correlation():
    target = np.array([0.2, 0.4, 0.9])
    (row,) = performance.summary(frame(target, np.full(3, 0.5))).to_dict("records")
    assert math.isnan(row["correlation"]) and math.isnan(row["kendall_tau"])
    assert row["error"] == pytest.approx((0.3 + 0.1 + 0.4) / 3)
    assert row["r2"] == pytest.approx(1 - np.mean((target - 0.5) ** 2) / target.var())


def test_bands_are_fifths_of_the_range():
    accuracies = np.array([0.0, 0.19, 0.21, 0.5, 0.79, 0.81, 1.0])
    assert performance.bands(accuracies).tolist() == [0, 0, 1, 2, 3, 4, 4]
    agreement = np.array([1.0, 0.8, 0.6, 0.5, 0.4, 0.2, 0.0])
    (row,) = performance.summary(frame(accuracies, accuracies, agreement)).to_dict("records")
    found = [row[f"agreement_{k}"] for k in range(1, 6)]
    assert found == pytest.approx([0.9, 0.6, 0.5, 0.4, 0.1])

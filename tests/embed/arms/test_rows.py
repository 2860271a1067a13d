"""Tokens of networks, and the arms that read and write them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.config import Embedding, LossWeights
from lib.core.streams import Stream
from lib.embed import losses
from lib.embed.arm import EmbedderError, find_arm
from lib.embed.objectives.classifiers import Batch, step_losses
from lib.embed.product import make_arm
from lib.embed.rows import Rows
from lib.engine.family import Family
from lib.nets.alignment import Neurons

NAMES = ("LeNetLike", "ResNet8")
CFG = Embedding(latent=32, rank=4, probes=8, steps=2, versions=1)


def networks(name, count=3):
    size = Family.of(name, 1, 8, 10).layout.size
    return torch.randn(count, size, generator=Stream("networks", name).torch())


def prepared(**keys):
    torch.manual_seed(0)
    arm = make_arm(CFG.model_copy(update=keys), NAMES, (1, 8, 8), 10)
    flats = {name: networks(name) for name in NAMES}
    images = torch.randn(16, 1, 8, 8, generator=Stream("images").torch())
    arm.prepare(
        flats, {name: torch.arange(3.0) for name in NAMES}, images, Stream("prepare").torch()
    )
    return arm, flats


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["LeNetLike", "VanillaCNN", "ResNet8"]), st.integers(1, 200))
def test_networks_come_back_from_their_tokens(name, length):
    layout, flat = Family.of(name, 1, 8, 10).layout, networks(name)
    rows = Rows.of(layout, length)
    tokens = rows.gather(flat)
    assert tokens.shape == (3, len(rows.places), length)
    assert rows.scatter(tokens).equal(flat)
    assert tokens.abs().sum().item() == pytest.approx(flat.abs().sum().item(), rel=1e-4)
    assert 0 <= rows.rows.min() and rows.rows.max() < 1 and rows.parts.max() < 1


def test_a_row_is_the_weights_into_a_neuron_and_its_bias():
    family = Family.of("LeNetLike", 1, 8, 10)
    state = family.layout.unflatten(networks("LeNetLike"))
    rows = Rows.of(family.layout, 1000)
    tokens = rows.gather(networks("LeNetLike"))
    first = next(iter(family.layout.entries)).name.rpartition(".")[0]
    weight, bias = state[f"{first}.weight"], state[f"{first}.bias"]
    for row in range(weight.shape[1]):
        wanted = torch.cat([weight[:, row].flatten(1), bias[:, row, None]], 1)
        assert tokens[:, row, : wanted.shape[1]].equal(wanted)
        assert not tokens[:, row, wanted.shape[1] :].any()
    assert rows.layers[: weight.shape[1]].eq(0).all() and rows.layers[weight.shape[1]] == 1


@pytest.mark.parametrize("depth", [0, 1])
def test_a_transformer_without_positions_sees_no_order_in_a_layer(depth):
    options = {"depth": depth, "positions": False, "token": 1000, "width": 8}
    arm, flats = prepared(arm="transformer", options=options)
    family = arm.families["LeNetLike"]
    state = family.layout.unflatten(flats["LeNetLike"])
    last = list(state)[-2:]  # no layer reads the order of the last one
    turned = {k: v.flip(1) if k in last else v for k, v in state.items()}
    flat = family.layout.flatten(turned)
    arm.scale["LeNetLike"].data.fill_(1.0)
    before, after = (arm.encode("LeNetLike", f) for f in (flats["LeNetLike"], flat))
    assert not flat.equal(flats["LeNetLike"]) and torch.allclose(before, after, atol=1e-5)
    options["positions"] = True
    arm, _ = prepared(arm="transformer", options=options)
    arm.scale["LeNetLike"].data.fill_(1.0)
    before, after = (arm.encode("LeNetLike", f) for f in (flats["LeNetLike"], flat))
    assert not torch.allclose(before, after, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_neurons_in_another_order_compute_the_same(name):
    family, flat = Family.of(name, 1, 8, 10), networks(name)
    shuffled = Neurons.of(family.module).shuffle(flat, Stream("order").torch())
    x = torch.randn(5, 1, 8, 8, generator=Stream("x").torch())
    assert not shuffled.equal(flat)
    assert shuffled.sort(1).values.equal(flat.sort(1).values)
    assert torch.allclose(family.run(shuffled, x), family.run(flat, x), rtol=1e-3, atol=1e-3)


def test_aligned_neurons_have_one_latent_in_any_order():
    arm, flats = prepared(arm="transformer", options={"depth": 0, "order": "aligned"})
    for name, flat in flats.items():
        best = flat[2:]  # of the highest score: in its own order the nearest is itself
        shuffled = arm.neurons[name].shuffle(best, Stream("order").torch())
        assert not shuffled.equal(best)
        assert arm.observe(name, shuffled).equal(arm.observe(name, best))
        assert arm.encode(name, shuffled).equal(arm.encode(name, best))


def test_shuffling_is_only_done_to_versions_and_only_if_asked():
    flat = networks("ResNet8")
    for order, same in (("given", True), ("shuffled", False)):
        arm, _ = prepared(arm="transformer", options={"order": order}, weight_noise=0.0)
        assert arm.perturb("ResNet8", flat, Stream("v").torch()).equal(flat) == same
        assert arm.observe("ResNet8", flat).equal(flat / arm.scale["ResNet8"])


@pytest.mark.parametrize("name", ["transformer", "positional"])
def test_gradients_reach_every_parameter(name):
    arm, flats = prepared(arm=name)
    latents = {n: arm.encode(n, flat) for n, flat in flats.items()}
    assert all(latent.shape == (3, 32) for latent in latents.values())
    decoded = {n: arm.decode(n, latent) for n, latent in latents.items()}
    assert all(decoded[n].shape == flats[n].shape for n in NAMES)
    total = sum(flat.square().sum() for flat in decoded.values())
    (total + arm.classify(latents["ResNet8"]).sum()).backward()
    missing = [n for n, p in arm.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


def test_options_are_the_arms_own_and_checked():
    cfg = CFG.model_copy(update={"arm": "transformer", "options": {"depht": 1}})
    with pytest.raises(EmbedderError, match=r"(?s)embedder\.options.*depht"):
        find_arm("transformer").check(cfg)
    cfg = CFG.model_copy(update={"arm": "probing", "options": {"normalize": "row"}})
    with pytest.raises(EmbedderError, match="normalize"):
        find_arm("probing").check(cfg)
    with pytest.raises(EmbedderError, match="depth"):
        find_arm("paper").check(CFG.model_copy(update={"latent": 64, "options": {"depth": 1}}))


def test_normalising_whole_networks_gives_one_scale():
    arm, flats = prepared(options={"normalize": "network"})
    assert arm.scale["LeNetLike"].unique().item() == pytest.approx(flats["LeNetLike"].std().item())
    arm, _ = prepared()
    assert len(arm.scale["LeNetLike"].unique()) == len(arm.families["LeNetLike"].layout.entries)


def test_the_structure_loss_is_relative_and_counts_layers_alike():
    layout, flat = Family.of("LeNetLike", 1, 8, 10).layout, networks("LeNetLike")
    assert losses.structure(flat, flat, layout).tolist() == [0, 0, 0]
    assert losses.structure(torch.zeros_like(flat), flat, layout).tolist() == pytest.approx([1] * 3)
    scaled = losses.structure(1.5 * flat, flat, layout)
    assert scaled.tolist() == pytest.approx([0.25] * 3, rel=1e-5)
    entry = layout.entries[0]
    wrong = flat.clone()
    wrong[:, entry.offset : entry.offset + entry.size] = 0
    found = losses.structure(wrong, flat, layout)
    assert found.tolist() == pytest.approx([1 / len(layout.entries)] * 3)


def test_the_structure_loss_is_part_of_training_only_when_it_weighs():
    x, y = torch.randn(4, 1, 8, 8), torch.arange(4)
    for weight in (0.0, 0.5):
        arm, flats = prepared(weights=LossWeights(structure=weight))
        seen = {name: arm.observe(name, flat) for name, flat in flats.items()}
        parts = step_losses(arm, Batch(flats, seen, x, y, torch.randn(4, 10)))
        assert ("structure" in parts) == (weight > 0)
        assert not weight or parts["structure"].item() > 0

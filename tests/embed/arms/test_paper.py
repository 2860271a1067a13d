"""The paper's arm: its sizes and shapes, its losses against a plain loop, and what it learns."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from lib.bench import embedder as bench
from lib.config import ConfigError, Embedding, LossWeights
from lib.core.streams import Stream
from lib.embed import Embedder, load_embedder, trainer
from lib.embed.arm import EmbedderError
from lib.embed.arms import paper as module
from lib.embed.arms.paper import Decoder, Encoder, Head, Paper, prep_size
from lib.embed.batches import noisy_images
from lib.embed.objectives.classifiers import Batch, Classifiers, run_decoded, step_losses
from lib.embed.pool import Pool
from lib.embed.product import make_arm
from lib.nets.layout import to_prep
from lib.study import load_study, parse_study
from toy import NAMES

CONFIG = Path(__file__).parents[3] / "config"
SMALL = Embedding(**Paper.PROTOCOL | {"latent": 64, "batch_size": 16}, steps=6, select_every=3)
PAIR = ("LeNetLike", "VanillaCNN")

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fresh(names=NAMES, **changes) -> Paper:
    torch.manual_seed(0)
    return make_arm(SMALL.model_copy(update=changes), names, (1, 8, 8), 4)


def count(*parts: nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


# Sizes and shapes


def test_the_papers_numbers_of_parameters():
    assert count(Encoder(4096)) == 6_788_352
    assert count(Decoder(4096, 88, 10000), Head(4096, 4)) == 4_721_258


@pytest.mark.parametrize(("height", "width"), [(88, 10000), (8, 10000), (16, 10000), (4, 8)])
def test_the_shape_at_every_stage(height, width):
    # Tensors on `meta` have shapes and no content, so that the real size costs nothing.
    parts = [part.to("meta") for part in (Encoder(4096), Decoder(4096, height, width))]
    head, seen = Head(4096, 4).to("meta"), []
    for part in (*parts, head):
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(
                    lambda _, given, out: seen.append((tuple(given[0].shape), tuple(out.shape)))
                )
    latent = parts[0](torch.empty(2, height, width, device="meta"))
    assert latent.shape == (2, 4096)
    assert parts[1](latent).shape == (2, height, width) and head(latent).shape == (2, 4)
    half, quarter, eighth = width // 2, width // 4, width // 8
    assert seen == [
        ((2, 1, height, width), (2, 128, height, half)),
        ((2, 128, height, half), (2, 256, height, quarter)),
        ((2, 256, height, 1), (2, 512, height, 1)),
        ((2, 512, height, 1), (2, 4096, height, 1)),
        ((2, 1, 64, 64), (2, height * 256, 32, 32)),
        ((2, 128, height, 2048), (2, eighth, height // 2, 1024)),
        ((2, 512, height // 2, quarter), (2, 256, height // 4, eighth)),
        ((2, 256, height // 4, eighth), (2, 32, height // 4, eighth)),
        ((2, 1, 64, 64), (2, 10, 32, 32)),
    ]


@pytest.mark.parametrize("latent", [64, 256, 576])
def test_smaller_latents_by_the_same_formulas(latent):
    prep = Decoder(latent, 12, 40)(torch.randn(3, latent, generator=rng()))
    assert prep.shape == (3, 12, 40) and prep.isfinite().all()
    assert Encoder(latent)(prep).shape == (3, latent)


def test_decoders_of_a_zero_map_emit_the_shift_alone():
    decoder = Decoder(64, 8, 16)
    for convolution in decoder.convolutions:
        nn.init.zeros_(convolution.bias)
    assert decoder(torch.zeros(1, 64))[0].equal(decoder.shift)
    assert 0 <= decoder.shift.min() and decoder.shift.max() < 1e-2
    assert decoder.scale.std().item() == pytest.approx(1e-3, rel=0.3)


@pytest.mark.parametrize("largest", [1, 32, 33, 3_718, 43_946, 465_674])
def test_a_prep_is_as_small_as_the_largest_network_allows(largest):
    height, width = prep_size(largest)
    assert height % 4 == width % 8 == 0
    assert 0 <= height * width - largest < 8 * height
    if largest > 10_000:  # the proportion of the paper's 88x10000, up to rounding to rows of four
        assert width / height == pytest.approx(10000 / 88, rel=8 / height)


# What is seen of a network


def test_zeros_behind_a_network_are_content_and_not_masked():
    """As in the paper: a larger PRep, or other values behind the weights, is another latent."""
    arm = fresh(("LeNetLike",), prep=(8, 800))
    flat = torch.randn(1, arm.families["LeNetLike"].layout.size, generator=rng())
    prep = to_prep(flat, 8, 800)
    latent = arm.encode("LeNetLike", flat)
    assert latent.equal(arm.encoder(prep))
    assert prep.flatten()[flat.shape[1] :].eq(0).all() and flat.shape[1] < prep.numel()
    prep[0, -1, -1] = 100
    assert not torch.allclose(arm.encoder(prep), latent, atol=1e-3)
    taller = F.pad(to_prep(flat, 8, 800), (0, 0, 0, 8))
    assert not torch.allclose(arm.encoder(taller), latent, atol=1e-5)


def test_an_encoder_knows_weights_only_and_not_the_architecture():
    arm = fresh()
    flat = torch.randn(2, 500, generator=rng())
    assert arm.embed("LeNetLike", flat).equal(arm.embed("ResNet8", flat))


def test_many_networks_go_through_in_chunks(monkeypatch):
    arm = fresh()
    flat = torch.randn(5, arm.families["ResNet8"].layout.size, generator=rng())
    latents = arm.encode("ResNet8", flat)
    decoded = arm.decode("ResNet8", latents)
    monkeypatch.setattr(module, "CHUNK", 2 * arm.height * arm.width)
    assert torch.allclose(arm.encode("ResNet8", flat), latents, atol=1e-5)
    assert torch.allclose(arm.decode("ResNet8", latents), decoded, atol=1e-6)
    assert arm.decode("ResNet8", latents[:0]).shape == (0, flat.shape[1])


# Configuration


def test_the_file_of_the_config_is_the_papers_protocol():
    study = load_study(CONFIG / "paper.yaml")
    embedder = study.spaces["multiarch"].embedder
    rest = embedder.model_dump(exclude={"steps", "select_every"})
    assert Embedding(**Paper.PROTOCOL).model_dump(exclude={"steps", "select_every"}) == rest
    assert study.zoos == parse_study({}).zoos and study.seed == 0


def study(embedder: dict) -> Embedding:
    """The embedder of a study with a space that says this of it."""
    return (
        parse_study({"spaces": {"mine": {"zoo": "digits", "embedder": embedder}}})
        .spaces["mine"]
        .embedder
    )


@pytest.mark.parametrize("latent", [16, 100, 128, 65])
def test_a_latent_that_is_no_square_is_refused_before_any_work(latent):
    wanted = rf"spaces.mine.embedder.latent is {latent}, .* square of a multiple"
    with pytest.raises(ConfigError, match=wanted):
        study({"arm": "paper", "latent": latent})
    assert study({"latent": latent}).latent == latent


@pytest.mark.parametrize("prep", [[10, 80], [8, 84]])
def test_a_prep_that_does_not_halve_is_refused_before_any_work(prep):
    wanted = r"spaces.mine.embedder.prep is .* multiple of 4, its width of 8"
    with pytest.raises(ConfigError, match=wanted):
        study({"arm": "paper", "latent": 64, "prep": prep})


def test_a_prep_that_is_too_small_is_refused():
    with pytest.raises(EmbedderError, match=r"prep \[4, 8\] holds 32 values; ResNet8 has \d+"):
        fresh(prep=(4, 8))


# Losses


def test_a_step_is_the_papers_loss(toy):
    """Against a loop over networks and pairs, each run as its predicted architecture."""
    arm = fresh()
    flat = {name: toy.networks[name][:n] for name, n in zip(NAMES, (2, 1, 1), strict=True)}
    x, y, teacher = toy.images.x[:8], toy.images.y[:8], toy.teacher[:8]
    parts = step_losses(arm, Batch(flat, flat, x, y, teacher))
    weights = arm.cfg.weights
    found = sum(getattr(weights, name) * part for name, part in parts.items())

    def loss(latent, wanted: int):
        logits = arm.head(latent[None])
        name = NAMES[logits.argmax()]
        family = arm.families[name]
        decoded = arm.decoder(latent[None]).flatten()[: family.layout.size]
        outputs = functional_call(family.module, family.layout.unflatten(decoded), x)
        pull = F.kl_div(
            F.log_softmax(outputs / 4, 1), F.softmax(teacher / 4, 1), reduction="batchmean"
        )
        placed = F.cross_entropy(logits, torch.tensor([wanted]))
        return placed + 0.9 * 16 * pull + 0.1 * F.cross_entropy(outputs, y)

    latents = [(k, z) for k, name in enumerate(NAMES) for z in arm.encode(name, flat[name])]
    wanted = sum(loss(z, k) for k, z in latents)
    pairs = [(a, b) for k, a in latents for m, b in latents if (k, m) == (0, 2)]
    assert len(pairs) == 2
    wanted = wanted + sum(loss(0.5 * a + 0.5 * b, 1) for a, b in pairs)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    found.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in arm.parameters())


def test_decoded_networks_run_as_given_or_as_predicted(toy, monkeypatch):
    arm = fresh()
    latent = torch.randn(2, 64, generator=rng())
    only = F.one_hot(torch.tensor([1, 2]), 3).float()
    monkeypatch.setattr(arm, "classify", lambda latent: only)
    outputs = run_decoded(arm, "LeNetLike", latent, toy.images.x[:4])
    for k, name in enumerate(NAMES[1:]):
        alone = arm.families[name].run(arm.decode(name, latent[[k]]), toy.images.x[:4])
        assert torch.allclose(outputs[k], alone[0], atol=1e-5)
    arm.cfg = arm.cfg.model_copy(update={"run_as": "given"})
    given = run_decoded(arm, "LeNetLike", latent, toy.images.x[:4])
    assert not torch.allclose(given, outputs, atol=1e-5)


def test_visits_are_the_steps_that_a_network_is_in():
    balanced = SMALL.model_copy(update={"steps": 100, "networks": 3, "draw": "balanced"})
    assert balanced.visits(10, 40) == 30
    assert balanced.model_copy(update={"draw": "mixed"}).visits(10, 40) == 7.5


# Training


def test_mixed_draws_are_of_all_networks_whatever_they_are(toy):
    pool = Pool.of(fresh(), toy.networks, 1, Stream("pool"))
    total = sum(map(len, toy.networks.values()))
    met = dict.fromkeys(NAMES, 0)
    for seed in range(60):
        flat, seen = pool.draw(2, rng(seed), mixed=True)
        assert sum(map(len, flat.values())) == 2 and 0 not in map(len, flat.values())
        for name, drawn in flat.items():
            assert seen[name].equal(drawn)
            whose = (drawn[:, None] == toy.networks[name][None]).all(-1)
            assert whose.sum(1).tolist() == [1] * len(drawn) and whose.sum(0).max() == 1
            met[name] += len(drawn)
    assert min(met.values()) > 20
    every, _ = pool.draw(total, rng(), mixed=True)
    assert {name: len(flat) for name, flat in every.items()} == dict.fromkeys(NAMES, 3)
    twice, _ = pool.draw(2 * total, rng(), mixed=True)
    assert {name: len(flat) for name, flat in twice.items()} == dict.fromkeys(NAMES, 6)


def test_a_small_one_learns_to_tell_two_architectures_and_lowers_its_loss(toy):
    changes = {"steps": 300, "select_every": 100, "learning_rate": 5e-3}
    arm, curves = toy.fit(SMALL.model_copy(update=changes), PAIR)
    for name in ("loss", "teacher"):
        losses = [value for _, what, value in curves.rows if what == name]
        assert losses[-1] < 0.2 * losses[0], name
    assert [v for _, what, v in curves.rows if what == "validation_accuracy"][-1] > 0.5
    for k, name in enumerate(PAIR):
        latents = arm.encode(name, toy.zoo["test"][name].flat)
        assert arm.classify(latents).argmax(-1).eq(k).all()


def test_equal_runs_give_equal_bits(toy):
    (first, one), (again, two) = (toy.fit(SMALL, PAIR) for _ in range(2))
    assert one.rows == two.rows
    state = again.state_dict()
    assert all(value.equal(state[name]) for name, value in first.state_dict().items())
    other, _ = toy.fit(SMALL, PAIR, seed=1)
    assert not other.decoder.scale.equal(first.decoder.scale)


def test_the_rate_is_constant_or_falls_after_warm_up():
    assert {trainer.pace(SMALL, step) for step in range(6)} == {1.0}
    cosine = SMALL.model_copy(update={"schedule": "cosine", "steps": 1000})
    assert trainer.pace(cosine, 0) == pytest.approx(1 / 50)
    assert trainer.pace(cosine, 500) == pytest.approx(0.5)
    assert trainer.pace(cosine, 999) < 1e-5


def test_without_noise_all_images_are_as_they_are(toy):
    x, chosen = noisy_images(toy.images, SMALL, rng())
    assert SMALL.clean == 16 and x.equal(toy.images.x[chosen])


def test_selection_by_accuracy_counts_inner_points_like_architectures(toy):
    objective = Classifiers(fresh(), None, toy.networks, toy.images, toy.validation)
    assert objective.arm.cfg.select_by == "accuracy"
    found = objective.validate()
    mean = 0.75 * found["validation_accuracy"] + 0.25 * found["validation_interpolation"]
    assert found["validation_decoded"] == pytest.approx(mean)
    assert objective.score(found) == found["validation_decoded"]
    objective = replace(objective, arm=fresh(select_by="agreement"))
    assert math.isfinite(objective.score(found))
    objective = replace(objective, arm=fresh(select_by="error"))
    assert objective.score(found) == -found["validation_error"]


def test_the_papers_loss_is_not_the_default_one():
    weights = LossWeights(**Paper.PROTOCOL["weights"])
    assert weights.own == 0 and weights != LossWeights()


# The product


def test_a_decoded_network_is_the_beginning_of_its_prep(toy, tmp_path):
    arm, _ = toy.fit(SMALL, NAMES)
    embedder = Embedder(arm, toy.embedder.card)
    latent = embedder.encode(toy.unfused("VanillaCNN", 2))
    prep = arm.decoder(latent[None])
    for name in NAMES:
        network = embedder.decode(latent, name)
        found, flat = embedder.identify(network)
        assert found == name and torch.allclose(flat, prep.flatten()[: len(flat)], atol=1e-6)
        back = to_prep(flat, arm.height, arm.width)
        kept = torch.arange(back.numel()).view(back.shape) < len(flat)
        assert torch.allclose(back, torch.where(kept, prep[0], 0), atol=1e-6)
    embedder.save(tmp_path / "paper.safetensors")
    loaded = load_embedder(tmp_path / "paper.safetensors")
    assert loaded.arm.cfg == arm.cfg and loaded.encode(toy.unfused("VanillaCNN", 2)).equal(latent)
    theirs, ours = (one.decode(latent).state_dict() for one in (loaded, embedder))
    assert all(value.equal(ours[name]) for name, value in theirs.items())


# What it costs


@pytest.fixture
def here(monkeypatch):
    """Measure in this process, as starting another takes seconds."""
    monkeypatch.setattr(bench, "_apart", lambda call, *arguments: call(*arguments))


def test_the_bench_counts_every_multiply_add_of_both_arms(here):
    height, width, latent, image = 8, 480, 64, (1, 8, 8)
    cfg = SMALL.model_copy(update={"prep": (height, width)})
    found = bench.measure(cfg, ("LeNetLike",), image, "LeNetLike", 1)
    first = height * width // 2 * 2 * 3
    later = height * width // 4 * 4 * 2 * 3 + height * 8 * 4 * 3 + height * latent * 8 * 3
    later += 4 * 4 * 9 * (height * 4)  # the decoder, whose latent has a gradient
    later += height // 2 * latent // 4 * 9 * 2 * (width // 8)
    later += height // 4 * width // 8 * 9 * (latent // 8 * 4 + 4 * 32)
    later += 4 * 4 * 9 * 10 + 10 * 16  # the head
    # forward, gradient of the weights and, but for the first, of what a layer was given
    assert found.multiply_adds == 2 * first + 3 * later
    assert found.observation_multiply_adds == 0 and found.parameters == count(
        Encoder(latent), Decoder(latent, height, width), Head(latent, 1)
    )
    conv, rest = 16 * 6 * 9, 4 * 16 * 6 * 9 + 64 * 32 + 32 * 16 + 16 * 10
    assert found.running_multiply_adds == 16 * (3 * conv + 4 * rest)

    ours = Embedding(latent=16, rank=4, probes=5, steps=100, networks=9, versions=5)
    found = bench.measure(ours, ("LeNetLike",), image, "LeNetLike", 1)
    assert found.observation_multiply_adds == 5 * (conv + rest)
    assert found.observation_share == 5 / (100 * 9 / 36)
    assert found.seconds_per_network_step > 0 and found.architecture == "LeNetLike"


def test_the_bench_shows_both_arms_beside_each_other(here, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "QUICK", (("LeNetLike",), (1, 8, 8), (8, 480)))
    assert bench.main(["--quick", "--rounds", "1", "--out", str(tmp_path / "e.json")]) == 0
    rows = json.loads((tmp_path / "e.json").read_text())
    assert [row["embedder"] for row in rows] == ["probing", "paper"]
    for row in rows:
        assert row["multiply_adds"] > 0 and row["parameters"] > row["network_parameters"] > 0
    assert capsys.readouterr().out.count("LeNetLike") == 2

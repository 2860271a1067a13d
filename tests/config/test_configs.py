"""The studies in `config/`: each is valid; those on published images say what the paper says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from lib import nets
from lib.embed.product import make_arm
from lib.engine.training.recipe import learning_rate, selects
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout
from lib.study import parse_study

CONFIG = Path(__file__).parents[2] / "config"
PUBLISHED = {"cifar10": (3, 32, 32, 10), "tiny_imagenet": (3, 64, 64, 200)}


def study(name: str, **images):
    raw = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
    if images:
        raw["images"] |= images
    return parse_study(raw)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_is_valid(path):
    images = {"path": "pictures.zip"} if path.stem == "cifar10_cpu" else {}
    assert study(path.stem, **images).results.startswith("results")


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_are_trained_as_in_the_paper(name):
    training = study(name).zoo.training
    recipe = SimpleNamespace(learning_rate=training.learning_rate, epochs=training.epochs)
    rates = [learning_rate(training, recipe, epoch) for epoch in range(300)]
    changes = [epoch for epoch in range(299) if rates[epoch] != rates[epoch + 1]]
    assert changes == [149, 179, 209]
    assert rates[0] == 0.05 and rates[-1] == pytest.approx(0.05 * 0.1**3)
    assert [e for e in range(300) if selects(training, recipe, e)] == list(range(209, 300, 10))
    assert study(name).teacher.training == training


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_embedder_is_the_papers(name):
    found, (channels, size, _, classes) = study(name), PUBLISHED[name]
    with torch.device("meta"):
        arm = make_arm(found.embedder, found.architectures, (channels, size, size), classes)
    parts = {"encoder": 0, "decoder": 0}
    for parameter, value in arm.named_parameters():
        parts["encoder" if parameter.startswith("encoder") else "decoder"] += value.numel()
    assert parts == {"encoder": 6_788_352, "decoder": 4_721_258}
    passes = round(found.embedder.steps / -(-(40_000 if size == 32 else 80_000) // 128))
    assert passes == 1000
    assert found.singlearch.embedder.prep == ((8, 10000) if size == 32 else (16, 10000))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_network_fits_its_prep(name):
    found, (channels, size, _, classes) = study(name), PUBLISHED[name]
    pairs = [(one, found.embedder.prep) for one in found.architectures]
    pairs.append((found.singlearch.architecture, found.singlearch.embedder.prep))
    for architecture, (height, width) in pairs:
        module = nets.build(architecture, channels, size, classes)
        assert Layout.of(fused_skeleton(module)).size <= height * width


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_networks_of_one_architecture_are_spread_over_the_papers_epochs(name):
    found = study(name).singlearch
    epochs = [int(one) for one in found.training.epochs.in_turn]
    steps = ((1, 100, 1), (100, 200, 2), (200, 300, 5), (300, 400, 10), (400, 500, 25))
    assert sorted(epochs) == [*(e for one in steps for e in range(*one)), 500, 550]
    test, validation = found.instances.test, found.instances.validation
    for part in (epochs[:test], epochs[test : test + validation]):
        assert min(part) < 30 and max(part) > 250

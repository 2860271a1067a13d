"""The studies in `config/`: each is valid; those on published images say what the paper says."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lib import nets
from lib.embed.product import make_arm
from lib.engine.training.recipe import learning_rate, selects
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout
from lib.study import parse_study, read

CONFIG = Path(__file__).parents[2] / "config"
PUBLISHED = {"cifar10": (3, 32, 32, 10), "tiny_imagenet": (3, 64, 64, 200)}


def study(name: str, **images):
    raw = read(CONFIG / f"{name}.yaml")
    if images:
        raw["data"]["cifar10"] |= images
    return parse_study(raw)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_is_valid(path):
    images = {"path": "pictures.zip"} if path.stem == "cifar10_cpu" else {}
    assert study(path.stem, **images).results.startswith("results")


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_are_trained_as_in_the_paper(name):
    training = study(name).zoos[name].training
    recipe = SimpleNamespace(learning_rate=training.learning_rate, epochs=training.epochs)
    rates = [learning_rate(training, recipe, epoch) for epoch in range(300)]
    changes = [epoch for epoch in range(299) if rates[epoch] != rates[epoch + 1]]
    assert changes == [149, 179, 209]
    assert rates[0] == 0.05 and rates[-1] == pytest.approx(0.05 * 0.1**3)
    assert [e for e in range(300) if selects(training, recipe, e)] == list(range(209, 300, 10))
    for space in ("multiarch", "singlearch"):
        teacher = study(name).spaces[space].teacher
        assert (teacher.architecture, teacher.training) == ("ResNet56", training)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_embedder_is_the_papers(name):
    found, (channels, size, _, classes) = study(name), PUBLISHED[name]
    space = found.spaces["multiarch"]
    with torch.device("meta"):
        arm = make_arm(space.embedder, space.architectures, (channels, size, size), classes)
    parts = {"encoder": 0, "decoder": 0}
    for parameter, value in arm.named_parameters():
        parts["encoder" if parameter.startswith("encoder") else "decoder"] += value.numel()
    assert parts == {"encoder": 6_788_352, "decoder": 4_721_258}
    passes = round(space.embedder.steps / -(-(40_000 if size == 32 else 80_000) // 128))
    assert passes == 1000
    one = found.spaces["singlearch"].embedder
    assert one.prep == ((8, 10000) if size == 32 else (16, 10000))
    assert (one.weights.own, one.weights.teacher, one.weights.label) == (1, 0, 0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_network_fits_its_prep(name):
    channels, size, _, classes = PUBLISHED[name]
    for space in (study(name).spaces[one] for one in ("multiarch", "singlearch")):
        height, width = space.embedder.prep
        for architecture in space.architectures:
            module = nets.build(architecture, channels, size, classes)
            assert Layout.of(fused_skeleton(module)).size <= height * width


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_networks_of_one_architecture_are_spread_over_the_papers_epochs(name):
    found = study(name).zoos["performance"]
    epochs = [int(one) for one in found.training.epochs.in_turn]
    steps = ((1, 100, 1), (100, 200, 2), (200, 300, 5), (300, 400, 10), (400, 500, 25))
    assert sorted(epochs) == [*(e for one in steps for e in range(*one)), 500, 550]
    test, validation = found.instances.test, found.instances.validation
    for part in (epochs[:test], epochs[test : test + validation]):
        assert min(part) < 30 and max(part) > 250


@pytest.mark.parametrize("name", ["paper", "cifar10", "tiny_imagenet", "cifar10_small", "tiny"])
def test_a_control_takes_as_many_steps_as_a_network_is_trained_with(name):
    found = study(name)
    space, zoo = found.spaces["multiarch"], found.zoos[found.spaces["multiarch"].zoo]
    counts = [zoo.of(one).train for one in space.architectures]
    visits = space.embedder.visits(counts[-1], sum(counts))
    reconstruction = space.experiments.reconstruction
    assert (reconstruction.steps, reconstruction.batch) == (
        math.ceil(visits),
        space.embedder.batch_size,
    )

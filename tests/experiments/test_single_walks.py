"""Walks between networks of one architecture, as they are, aligned and repaired."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import graded
from graded import CFG, NAME
from lib.engine import ensemble
from lib.engine.family import Family
from lib.evaluate import performance
from lib.explore import blends, sampling
from lib.nets.alignment import Neurons
from lib.nets.layout import Layout
from lib.nets.repair import RepairError, mixed, moments, repaired
from lib.zoo.population import Population

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    return graded.zoo(toy)


# Repair


def flat_of(module: nn.Module) -> torch.Tensor:
    return Layout.of(module).flatten(module.state_dict())


def test_moments_are_those_of_a_layer_before_its_activation(toy, zoo):
    family, flat = zoo["train"].family, zoo["train"].flat[:2]
    found = moments(family.module, ["conv"], flat, toy.images.x)
    weight, bias = (family.layout.unflatten(flat)[f"conv.{part}"] for part in ("weight", "bias"))
    made = nn.functional.conv2d(toy.images.x, weight[1], bias[1], padding=1)
    mean, spread = found["conv"]
    torch.testing.assert_close(mean[1], made.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    wanted = made.transpose(0, 1).flatten(1).std(1, correction=0)
    torch.testing.assert_close(spread[1], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["ResNet8", "VanillaCNN", "LeNetLike"])
def test_repaired_networks_have_the_moments_wanted_in_every_layer(toy, name):
    family, flat = toy.zoo["train"][name].family, toy.zoo["train"][name].flat
    layers, x = Neurons.of(family.module).layers, toy.images.x
    first, last = (moments(family.module, layers, flat[[k]], x) for k in (0, 1))
    gamma = torch.tensor([0.0, 0.4])
    wanted = mixed(first, last, gamma)
    middle = torch.stack([flat[0], 0.6 * flat[0] + 0.4 * flat[2]])
    made = repaired(family.module, middle, x, wanted)
    found = moments(family.module, layers, made, x)
    for layer in layers:
        for one, other in zip(found[layer], wanted[layer], strict=True):
            torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-3)
    assert torch.allclose(family.run(made[:1], x), family.run(flat[:1], x), atol=1e-2)
    assert not torch.allclose(made[1], middle[1], atol=1e-2)


def test_a_layer_without_a_bias_cannot_be_repaired():
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2))
    flat, x = flat_of(module)[None].detach(), torch.randn(6, 3)
    found = moments(module, ["0"], flat, x)
    with pytest.raises(RepairError, match="layer 0 has no bias"):
        repaired(module, flat, x, found)


# Walks


def test_pairs_share_no_network_and_are_good_or_mixed(zoo):
    test = zoo["test"]
    found = blends.pairs_of(test, 3, ("a",))
    networks = [i for one in found for i in one[:2]]
    assert len(set(networks)) == 6 and [ends for *_, ends in found] == ["good", "good", "mixed"]
    middle = test.scores.median()
    for i, j, ends in found:
        assert test.scores[j] >= middle and (test.scores[i] >= middle) == (ends == "good")
    assert found == blends.pairs_of(test, 3, ("a",)) != blends.pairs_of(test, 3, ("b",))
    assert len(blends.pairs_of(test, 99, ("a",))) == 3  # five good networks


def test_one_network_makes_no_walk(zoo):
    with pytest.raises(blends.BlendError, match="needs two networks"):
        blends.pairs_of(sampling.part(zoo["test"], np.array([0])), 3, ("a",))


@pytest.fixture(scope="module")
def walks(toy, zoo) -> pd.DataFrame:
    return blends.interpolate(toy.embedder, 4, ("w",), CFG, zoo["test"], toy.images, toy.test)


def test_walks_begin_and_end_at_the_networks_or_their_reconstructions(toy, zoo, walks):
    assert tuple(walks.columns) == blends.COLUMNS and len(walks) == 3 * 4 * 5
    assert set(walks["seed"]) == {4}
    test, arm = zoo["test"], toy.embedder.arm
    own = dict(zip(test.names, ensemble.accuracy(test.outputs(toy.test), toy.test.y), strict=True))
    with torch.no_grad():
        outputs = test.family.predict(arm.decode(NAME, arm.encode(NAME, test.flat)), toy.test.x)
    decoded = dict(zip(test.names, ensemble.accuracy(outputs, toy.test.y), strict=True))
    for (pair, method), walk in walks.groupby(["pair", "method"]):
        assert walk["gamma"].tolist() == [0, 0.25, 0.5, 0.75, 1]
        by = decoded if method == "latent" else own
        ends = [by[name].item() for name in pair.split(":")]
        # Aligned, and repaired by nothing, networks are what they were up to rounding.
        assert [walk["accuracy"].iloc[k] for k in (0, -1)] == pytest.approx(ends, abs=0.02)


def test_a_walk_to_a_network_in_another_order_is_flat_once_aligned(toy, zoo):
    family, good = zoo["test"].family, zoo["test"].flat[:1]
    other = good.clone()
    for group in Neurons.of(family.module).groups:
        for view in group.views(other[0].numpy()):
            view[:] = view[::-1].copy()
    frame = pd.DataFrame({"network": ["a", "b"], "validation_accuracy": [0.9, 0.9]})
    pair = Population(family, frame, torch.cat([good, other]))
    found = blends.interpolate(toy.embedder, 0, ("w",), CFG, pair, toy.images, toy.test)
    lost = performance.barriers(found).set_index("method")["barrier"]
    assert lost["aligned"] == pytest.approx(0, abs=0.02)
    assert lost["aligned_reset"] == pytest.approx(0, abs=0.02)
    assert lost["latent"] == pytest.approx(0, abs=0.02)  # both answer alike, so both lie there
    assert lost["weights"] > 0.3


def test_the_barrier_is_what_the_middle_loses_to_the_mean_of_the_ends():
    def walk(accuracies: list[float]) -> float:
        count = len(accuracies)
        frame = pd.DataFrame(
            {
                "pair": "a:b",
                "ends": "good",
                "method": "latent",
                "seed": 0,
                "gamma": np.linspace(0, 1, count),
                "accuracy": accuracies,
            }
        )
        return performance.barriers(frame.sample(frac=1, random_state=0))["barrier"].item()

    assert walk([1.0, 0.2, 0.5]) == pytest.approx(0.55)
    assert walk([1.0, 0.3, 0.1, 0.8]) == pytest.approx(0.7)  # the two around the middle


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.b(torch.softmax(self.a(x.flatten(1)), 1))


def test_an_architecture_that_cannot_be_aligned_is_refused(toy, zoo):
    module = Blind()
    family = Family("Blind", module, Layout.of(module))
    flat = flat_of(module).detach().expand(2, -1)
    population = Population(family, zoo["test"].frame.iloc[:2], flat)
    with pytest.raises(blends.BlendError, match="Blind cannot be put in another order"):
        blends.interpolate(toy.embedder, 0, ("w",), CFG, population, toy.images, toy.test)

"""Walks between the extremes, and within an architecture as they are, aligned and repaired."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import graded
from graded import NAME
from lib.config.experiments import Interpolation
from lib.core.streams import Stream
from lib.engine import ensemble
from lib.engine.family import Family
from lib.experiments import interpolation, measures
from lib.experiments.columns import CLASSIFIERS
from lib.nets.alignment import Neurons
from lib.nets.layout import Layout
from lib.zoo.population import Population
from tasks import task
from toy import NAMES

EXTREMES = Interpolation(points=7, pairs=2, pairs_within=0)
WITHIN = Interpolation(points=5, pairs=0, pairs_within=3, reset_images=32)

pytestmark = pytest.mark.usefixtures("one_thread")


def always(k: int):
    """A head that predicts class k for every latent."""
    return lambda latent: F.one_hot(torch.tensor(k), 3).float().expand(len(latent), -1)


def accuracy(population, flat, images) -> list[float]:
    return ensemble.accuracy(population.family.predict(flat, images.x), images.y).tolist()


# Between the extremes


@pytest.mark.parametrize("points", [4, 10, 31, 100, 1000])
def test_a_curve_has_its_points_and_the_inner_places_among_them(points):
    cfg = EXTREMES.model_copy(update={"points": points})
    found = interpolation.points_of(cfg, 4, (3, 3))
    assert [(i, j) for i, j, _ in found] == [(i, j) for i in range(3) for j in range(3)]
    for i, j, gammas in found:
        if i == j and i < 2:
            assert len(gammas) == points and gammas == sorted(gammas)
            assert gammas[0] == 0 and gammas[-1] == 1 and {1 / 3, 2 / 3} <= set(gammas)
            assert np.diff(gammas) == pytest.approx(1 / (points - 1))
        else:
            assert gammas == [1 / 3, 2 / 3]


def test_inner_places_that_are_no_points_of_the_curve_are_added():
    six, three = (EXTREMES.model_copy(update={"points": points}) for points in (6, 3))
    (_, _, gammas), *_ = interpolation.points_of(six, 4, (1, 2))
    assert gammas == [0, 0.2, 1 / 3, 0.4, 0.6, 2 / 3, 0.8, 1]
    (_, _, curve), (_, _, nothing) = interpolation.points_of(three, 2, (1, 2))
    assert curve == [0, 0.5, 1] and nothing == []


@pytest.fixture(scope="module")
def between(toy, one_thread) -> pd.DataFrame:
    return interpolation.run(task(toy, "interpolation", seed=5), EXTREMES)


def test_the_table_of_walks_has_every_pair_point_and_method_once(between):
    assert tuple(between.columns) == CLASSIFIERS["interpolation"] and set(between["seed"]) == {5}
    assert not between.duplicated(["pair", "method", "gamma"]).any()
    counts = between.groupby(["pair", "method"]).size()
    for (pair, _), count in counts.items():
        first, last = (int(network[-4:]) for network in pair.split(":"))
        assert count == (7 if first == last else 1)
        assert pair == f"LeNetLike-{first:04d}:ResNet8-{last:04d}"
    assert len(counts) == 4 * 3 and set(between["method"]) == {"latent", "weights", "constant"}
    assert between["accuracy"].between(0, 1).all() and set(between["ends"]) == {"extremes"}


def test_the_ends_of_a_walk_are_the_reconstructions_of_its_networks(toy, between):
    arm = toy.embedder.arm
    at = between[between["method"] == "latent"].set_index(["pair", "gamma"])
    for i in range(2):
        pair = f"LeNetLike-000{i}:ResNet8-000{i}"
        for gamma, name in ((0.0, NAMES[0]), (1.0, NAMES[-1])):
            population = toy.zoo["test"][name]
            with torch.no_grad():
                latent = arm.encode(name, population.flat[[i]])
                predicted = toy.embedder.predict(latent[0])
                wanted = toy.zoo["test"][predicted]
                flat = arm.decode(predicted, latent)
            assert at.loc[(pair, gamma), "predicted_architecture"] == predicted
            assert at.loc[(pair, gamma), "accuracy"] == accuracy(wanted, flat, toy.test)[0]


def test_walks_in_raw_weights_begin_and_end_at_the_networks_themselves(toy, monkeypatch):
    for k, gamma in ((0, 0.0), (2, 1.0)):
        monkeypatch.setattr(toy.embedder.arm, "classify", always(k))
        table = interpolation.run(task(toy, "interpolation"), EXTREMES)
        assert set(table["predicted_architecture"]) == {NAMES[k]}
        raw = table[(table["method"] == "weights") & (table["gamma"] == gamma)]
        population = toy.zoo["test"][NAMES[k]]
        assert raw["accuracy"].tolist() == accuracy(population, population.flat, toy.test)
        constant = accuracy(population, toy.zoo["train"][NAMES[k]].best()[None], toy.test)
        assert table[table["method"] == "constant"]["accuracy"].unique().tolist() == constant


# Within an architecture


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    return graded.zoo(toy)


def alone(toy, test: Population, train: Population | None = None):
    """A task on networks of one architecture, with the embedder of several."""
    name = test.family.architecture
    zoo = {"train": {name: train or test}, "test": {name: test}}
    return task(toy, "interpolation", zoo, seed=4)


def test_pairs_share_no_network_and_are_good_or_mixed(zoo):
    test = zoo["test"]
    found = interpolation.pairs_of(test, 3, Stream("a"))
    networks = [i for one in found for i in one[:2]]
    assert len(set(networks)) == 6 and [ends for *_, ends in found] == ["good", "good", "mixed"]
    middle = test.scores.median()
    for i, j, ends in found:
        assert test.scores[j] >= middle and (test.scores[i] >= middle) == (ends == "good")
    assert found == interpolation.pairs_of(test, 3, Stream("a"))
    assert found != interpolation.pairs_of(test, 3, Stream("b"))
    assert len(interpolation.pairs_of(test, 99, Stream("a"))) == 3  # five good networks


def test_one_network_makes_no_walk(toy, zoo):
    with pytest.raises(interpolation.WalkError, match="no two test networks"):
        interpolation.run(alone(toy, zoo["test"].first(1)), WITHIN)


@pytest.fixture(scope="module")
def walks(toy, zoo) -> pd.DataFrame:
    return interpolation.run(alone(toy, zoo["test"]), WITHIN)


def test_walks_begin_and_end_at_the_networks_or_their_reconstructions(toy, zoo, walks):
    assert tuple(walks.columns) == CLASSIFIERS["interpolation"] and len(walks) == 3 * 4 * 5
    assert set(walks["seed"]) == {4} and set(walks["architecture"]) == {NAME}
    test, arm = zoo["test"], toy.embedder.arm
    own = dict(zip(test.names, ensemble.accuracy(test.outputs(toy.test), toy.test.y), strict=True))
    with torch.no_grad():
        latents = arm.encode(NAME, test.flat)
        names = [toy.embedder.predict(latent) for latent in latents]
        flats = [arm.decode(name, z[None]) for name, z in zip(names, latents, strict=True)]
    known = toy.zoo["test"]
    made = [accuracy(known[n], flat, toy.test)[0] for n, flat in zip(names, flats, strict=True)]
    decoded = dict(zip(test.names, made, strict=True))
    for (pair, method), walk in walks.groupby(["pair", "method"]):
        assert walk["gamma"].tolist() == [0, 0.25, 0.5, 0.75, 1]
        ends = [(decoded if method == "latent" else own)[name] for name in pair.split(":")]
        # Aligned, and repaired by nothing, networks are what they were up to rounding.
        found = [walk["accuracy"].iloc[k] for k in (0, -1)]
        assert found == pytest.approx([float(end) for end in ends], abs=0.02)


def test_a_walk_to_a_network_in_another_order_is_flat_once_aligned(toy, zoo):
    family, good = zoo["test"].family, zoo["test"].flat[:1]
    other = good.clone()
    for group in Neurons.of(family.module).groups:
        for view in group.views(other[0].numpy()):
            view[:] = view[::-1].copy()
    frame = pd.DataFrame({"network": ["a", "b"], "validation_accuracy": [0.9, 0.9]})
    pair = Population(family, frame, torch.cat([good, other]))
    lost = measures.barriers(interpolation.run(alone(toy, pair), WITHIN))
    lost = lost.set_index("method")["barrier"]
    assert lost["aligned"] == pytest.approx(0, abs=0.02)
    assert lost["aligned_reset"] == pytest.approx(0, abs=0.02)
    assert lost["latent"] == pytest.approx(0, abs=0.02)  # both answer alike, so both lie there
    assert lost["weights"] > 0.3


def test_walks_between_and_within_are_in_one_table(toy, between):
    both = WITHIN.model_copy(update={"pairs": 2, "points": 7})
    found = interpolation.run(task(toy, "interpolation", seed=5), both)
    extremes = found["ends"] == "extremes"
    pd.testing.assert_frame_equal(found[extremes], between, check_exact=True, check_dtype=False)
    assert found.loc[extremes, "architecture"].isna().all()
    counts = found[~extremes].groupby(["architecture", "method"]).size().unstack()
    assert set(counts.index) == set(NAMES) and (counts == 7).all().all()
    assert set(counts.columns) == {"latent", "weights", "aligned", "aligned_reset"}


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.b(torch.softmax(self.a(x.flatten(1)), 1))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 4, bias=False), nn.Linear(4, 4)

    def forward(self, x):
        return self.b(torch.relu(self.a(x.flatten(1))))


@pytest.mark.parametrize(
    ("kind", "methods", "said"),
    [
        (Blind, {"weights"}, "Blind: no aligned walks, as its neurons cannot be put in another"),
        (Plain, {"weights", "aligned"}, "Plain: no repaired walks, as layer a has no bias"),
    ],
)
def test_ways_that_an_architecture_does_not_have_are_left_out_and_said(kind, methods, said, caplog):
    module = kind()
    layout = Layout.of(module)
    flat = layout.flatten(module.state_dict()).detach().expand(2, -1)
    ways = interpolation.Ways.of(Family(kind.__name__, module, layout), torch.randn(8, 1, 8, 8))
    found = ways.between(flat[:1], flat[1:], torch.tensor([0.0, 1.0]))
    assert set(found) == methods and said in caplog.text

"""What a latent tells of a network of one architecture, and where the map puts it."""

from __future__ import annotations

import copy
import math
import types

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import graded
from graded import CFG, NAME
from lib.evaluate import properties
from lib.explore.latents import performance_map
from lib.zoo.population import Population

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    return graded.zoo(toy)


# Properties


def test_statistics_of_each_weight_and_bias(zoo):
    population = zoo["train"]
    found = properties.weight_statistics(population)
    entries = population.family.layout.entries
    assert found.shape == (15, 7 * len(entries))
    part = population.flat[3, entries[0].offset : entries[0].offset + entries[0].size].numpy()
    wanted = [part.mean(), part.std(), *np.quantile(part, properties.QUANTILES)]
    assert found[3, :7] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("model", ["ridge", "boosting"])
def test_a_regression_finds_what_is_there_and_nothing_where_there_is_nothing(model):
    random = np.random.default_rng(0)
    features = {s: random.normal(size=(n, 6)) for s, n in SIZES.items()}
    there = {s: 5 + 2 * x[:, 0] for s, x in features.items()}
    nothing = {s: random.normal(size=n) for s, n in SIZES.items()}
    fit = properties.FITS[model]
    assert metrics.r2_score(there["test"], fit(features, there)) > 0.9
    assert metrics.r2_score(nothing["test"], fit(features, nothing)) < 0.1


def test_ridge_is_that_of_a_library():
    random = np.random.default_rng(4)
    features = {s: 3 + random.normal(size=(n, 9)) * np.arange(1, 10) for s, n in SIZES.items()}
    wanted = {s: x[:, 0] + random.normal(size=len(x)) for s, x in features.items()}
    scaler = StandardScaler().fit(features["train"])
    x = {split: scaler.transform(values) for split, values in features.items()}
    models = [Ridge(alpha * 160).fit(x["train"], wanted["train"]) for alpha in properties.ALPHAS]
    best = max(models, key=lambda model: model.score(x["validation"], wanted["validation"]))
    given = properties.FITS["ridge"](features, wanted)
    assert given == pytest.approx(best.predict(x["test"]))


SIZES = {"train": 160, "validation": 60, "test": 80}


def test_a_regression_never_reads_the_test_targets():
    random = np.random.default_rng(1)
    features = {s: random.normal(size=(n, 3)) for s, n in SIZES.items()}
    wanted = {s: x[:, 0] for s, x in features.items()}
    for fit in properties.FITS.values():
        given = fit(features, wanted)
        assert (given == fit(features, wanted | {"test": wanted["test"] * np.nan})).all()


def test_the_score_of_a_perfect_and_of_a_constant_prediction():
    wanted = np.random.default_rng(2).normal(size=50)
    perfect = properties.Score.of(wanted, wanted, "a")
    assert (*perfect.r2, *perfect.tau) == pytest.approx([1] * 6)
    constant = properties.Score.of(wanted, np.full(50, wanted.mean()), "a")
    assert constant.r2[0] == pytest.approx(0) and constant.r2[1] < 0
    assert properties.Score.of(wanted, -wanted, "a").tau[0] == pytest.approx(-1)
    assert math.isnan(constant.tau[0]) and math.isnan(constant.tau[1])
    assert math.isnan(properties.Score.of(np.ones(3), np.zeros(3), "a").r2[0])


def test_measures_of_networks_drawn_again_are_those_of_the_list_with_repeats():
    random = np.random.default_rng(3)
    wanted, given = random.integers(0, 6, (2, 20)).astype(float)
    rows = random.integers(20, size=(5, 20))
    times = np.stack([np.bincount(some, minlength=20) for some in rows])
    tau = [stats.kendalltau(wanted[some], given[some]).statistic for some in rows]
    r2 = [metrics.r2_score(wanted[some], given[some]) for some in rows]
    assert properties.kendall(wanted, given, times) == pytest.approx(tau)
    assert properties.r_squared(wanted, given, times) == pytest.approx(r2)


def test_the_table_of_properties(toy, zoo):
    found = properties.predict(toy.embedder, 5, CFG, zoo, toy.test)
    assert tuple(found.columns) == properties.COLUMNS
    # The learning rate is the same for all: nothing to predict.
    assert set(found["target"]) == {"test_accuracy", "epochs"}
    counts = found.groupby(["features", "model"]).size()
    assert counts.to_dict() == {
        ("latent", "ridge"): 2,
        ("latent", "boosting"): 2,
        ("observed", "ridge"): 2,
        ("statistics", "ridge"): 2,
        ("statistics", "boosting"): 2,
        ("pca", "ridge"): 2,
        ("pca", "boosting"): 2,
        ("weights", "ridge"): 2,
        ("validation_accuracy", "none"): 1,
    }
    assert (found["r2_low"] <= found["r2_high"]).all() and set(found["networks"]) == {9}
    again = properties.predict(toy.embedder, 5, CFG, zoo, toy.test)
    pd.testing.assert_frame_equal(found, again, check_exact=True)


# The map


def test_the_map_lays_networks_out_by_their_answers(toy, zoo):
    arm = copy.copy(toy.embedder.arm)
    arm.families = {NAME: arm.families[NAME]}
    arm.decode = lambda name, latent: zoo["train"].flat[latent[:, 0].long()]  # a perfect decoder
    embedder = types.SimpleNamespace(arm=arm, architectures=(NAME,))
    frame = zoo["train"].frame.assign(split=["train"] * 10 + ["test"] * 5)
    rows = torch.arange(15.0)[:, None]
    table = performance_map(embedder, frame, rows, toy.images, 4)
    train = table[table["split"] == "train"]
    for axis in "xy":
        assert np.cov(train[axis], train["validation_accuracy"])[0, 1] > 0
        assert train[axis].mean() == pytest.approx(0, abs=1e-6)
    answers = zoo["train"].outputs(toy.images).softmax(-1).flatten(1)
    far = torch.cdist(answers, answers).numpy()
    places = torch.from_numpy(table[["x", "y"]].to_numpy())
    drawn = torch.cdist(places, places).numpy()
    assert (drawn <= far + 1e-4).all() and np.corrcoef(drawn.ravel(), far.ravel())[0, 1] > 0.5
    assert 0 < table["explained_y"].iloc[0] < table["explained_x"].iloc[0] < 1

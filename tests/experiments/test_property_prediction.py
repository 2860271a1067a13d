"""What a latent tells of networks: features, regressions, scores and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import graded
from graded import NAME
from lib.config.experiments import PropertyPrediction
from lib.core.streams import Stream
from lib.experiments import property_prediction
from lib.experiments.columns import CLASSIFIERS
from lib.zoo.population import Population
from tasks import task
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = {"train": 160, "validation": 60, "test": 80}
STREAM = Stream("a")


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    return graded.zoo(toy)


def test_statistics_of_each_weight_and_bias(zoo):
    population = zoo["train"]
    found = property_prediction.weight_statistics(population)
    entries = population.family.layout.entries
    assert found.shape == (15, 7 * len(entries))
    part = population.flat[3, entries[0].offset : entries[0].offset + entries[0].size].numpy()
    wanted = [part.mean(), part.std(), *np.quantile(part, property_prediction.QUANTILES)]
    assert found[3, :7] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("model", ["ridge", "boosting"])
def test_a_regression_finds_what_is_there_and_nothing_where_there_is_nothing(model):
    random = np.random.default_rng(0)
    features = {s: random.normal(size=(n, 6)) for s, n in SIZES.items()}
    there = {s: 5 + 2 * x[:, 0] for s, x in features.items()}
    nothing = {s: random.normal(size=n) for s, n in SIZES.items()}
    fit = property_prediction.FITS[model]
    assert metrics.r2_score(there["test"], fit(features, there)) > 0.9
    assert metrics.r2_score(nothing["test"], fit(features, nothing)) < 0.1


def test_ridge_is_that_of_a_library():
    random = np.random.default_rng(4)
    features = {s: 3 + random.normal(size=(n, 9)) * np.arange(1, 10) for s, n in SIZES.items()}
    wanted = {s: x[:, 0] + random.normal(size=len(x)) for s, x in features.items()}
    scaler = StandardScaler().fit(features["train"])
    x = {split: scaler.transform(values) for split, values in features.items()}
    models = [
        Ridge(alpha * 160).fit(x["train"], wanted["train"]) for alpha in property_prediction.ALPHAS
    ]
    best = max(models, key=lambda model: model.score(x["validation"], wanted["validation"]))
    given = property_prediction.FITS["ridge"](features, wanted)
    assert given == pytest.approx(best.predict(x["test"]))


def test_a_regression_never_reads_the_test_targets():
    random = np.random.default_rng(1)
    features = {s: random.normal(size=(n, 3)) for s, n in SIZES.items()}
    wanted = {s: x[:, 0] for s, x in features.items()}
    for fit in property_prediction.FITS.values():
        given = fit(features, wanted)
        assert (given == fit(features, wanted | {"test": wanted["test"] * np.nan})).all()


def test_the_score_of_a_perfect_and_of_a_constant_prediction():
    wanted = np.random.default_rng(2).normal(size=50)
    perfect = property_prediction.Score.of(wanted, wanted, STREAM)
    assert (*perfect.r2, *perfect.tau) == pytest.approx([1] * 6)
    constant = property_prediction.Score.of(wanted, np.full(50, wanted.mean()), STREAM)
    assert constant.r2[0] == pytest.approx(0) and constant.r2[1] < 0
    assert property_prediction.Score.of(wanted, -wanted, STREAM).tau[0] == pytest.approx(-1)
    assert math.isnan(constant.tau[0]) and math.isnan(constant.tau[1])
    assert math.isnan(property_prediction.Score.of(np.ones(3), np.zeros(3), STREAM).r2[0])


def test_measures_of_networks_drawn_again_are_those_of_the_list_with_repeats():
    random = np.random.default_rng(3)
    wanted, given = random.integers(0, 6, (2, 20)).astype(float)
    rows = random.integers(20, size=(5, 20))
    times = np.stack([np.bincount(some, minlength=20) for some in rows])
    tau = [stats.kendalltau(wanted[some], given[some]).statistic for some in rows]
    r2 = [metrics.r2_score(wanted[some], given[some]) for some in rows]
    assert property_prediction.kendall(wanted, given, times) == pytest.approx(tau)
    assert property_prediction.r_squared(wanted, given, times) == pytest.approx(r2)


def test_the_table_of_properties(toy, zoo):
    networks = {split: {NAME: population} for split, population in zoo.items()}
    given = task(toy, "property_prediction", networks, seed=5), PropertyPrediction(components=3)
    table = property_prediction.run(*given)
    assert tuple(table.columns) == CLASSIFIERS["property_prediction"]
    assert set(table["architecture"]) == {NAME} and set(table["seed"]) == {5}
    # The learning rate is the same for all: nothing to predict.
    assert set(table["target"]) == {"test_accuracy", "epochs"}
    counts = table.groupby(["features", "model"]).size()
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
    assert (table["r2_low"] <= table["r2_high"]).all() and set(table["networks"]) == {9}
    pd.testing.assert_frame_equal(table, property_prediction.run(*given), check_exact=True)


def test_each_architecture_is_predicted_on_its_own(toy):
    networks = {split: dict(zoo) for split, zoo in toy.zoo.items()}
    table = property_prediction.run(
        task(toy, "property_prediction", networks), PropertyPrediction(components=2)
    )
    # All networks were trained alike: accuracy alone is left.
    assert table.groupby("architecture").size().to_dict() == dict.fromkeys(NAMES, 9)
    alone = {split: {"VanillaCNN": zoo["VanillaCNN"]} for split, zoo in toy.zoo.items()}
    again = property_prediction.run(
        task(toy, "property_prediction", alone), PropertyPrediction(components=2)
    )
    rows = table[table["architecture"] == "VanillaCNN"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, again, check_exact=True)

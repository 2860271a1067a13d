"""Task arithmetic: the direction from poor to good networks, and networks moved along it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import graded
from graded import NAME
from lib.config.experiments import Arithmetic
from lib.engine import ensemble
from lib.experiments import arithmetic
from lib.experiments.bands import bands_of
from lib.experiments.columns import CLASSIFIERS
from lib.zoo.population import Population
from tasks import task
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    return graded.zoo(toy)


def test_the_direction_leads_from_the_worst_to_the_best():
    points = torch.tensor([[0.0, 1.0], [2.0, 1.0], [9.0, 9.0], [4.0, 3.0]])
    found = arithmetic.direction(points, np.array([0, 0, 1, 2]))
    assert found.tolist() == [3.0, 2.0]


def test_the_table_of_moves(toy, zoo):
    networks = {split: {NAME: population} for split, population in zoo.items()}
    given = task(toy, "arithmetic", networks, seed=7)
    table = arithmetic.run(given, Arithmetic(scales=(0.0, 1.0)))
    assert tuple(table.columns) == CLASSIFIERS["arithmetic"] and len(table) == 9 * 3 * 2
    still = table[table["scale"] == 0]
    assert not still["change"].any()
    test = zoo["test"]
    own = ensemble.accuracy(test.outputs(toy.test), toy.test.y).tolist()
    assert still.loc[still["method"] == "weights", "accuracy"].tolist() == pytest.approx(own)
    # One scale for each method and band.
    assert table[table["chosen"]].groupby(["method", "band"])["scale"].nunique().eq(1).all()
    bands = bands_of(zoo["train"], zoo["train"])
    moved = test.flat + arithmetic.direction(zoo["train"].flat, bands)
    outputs = test.family.predict(moved, toy.test.x)
    once = table[(table["method"] == "weights") & (table["scale"] == 1)]
    assert once["accuracy"].tolist() == ensemble.accuracy(outputs, toy.test.y).tolist()


def test_each_architecture_is_moved_in_its_own_direction(toy):
    table = arithmetic.run(task(toy, "arithmetic"), Arithmetic(scales=(0.0, 1.0)))
    assert table.groupby("architecture").size().to_dict() == dict.fromkeys(NAMES, 2 * 3 * 2)
    alone = {split: {"VanillaCNN": zoo["VanillaCNN"]} for split, zoo in toy.zoo.items()}
    again = arithmetic.run(task(toy, "arithmetic", alone), Arithmetic(scales=(0.0, 1.0)))
    rows = table[table["architecture"] == "VanillaCNN"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, again, check_exact=True)


def test_the_scale_is_chosen_by_the_mean_of_a_band():
    kept = {0.0: np.array([0.5, 0.9]), 1.0: np.array([0.7, 0.2]), 2.0: np.array([0.7, 0.9])}
    assert arithmetic.best_scales(kept, np.array([0, 2])) == {0: 1.0, 2: 0.0}

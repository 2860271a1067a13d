"""Intervals beside means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.experiments.statistics import bootstrap_interval, bootstrap_pairs, mean_interval


def test_mean_interval_is_student_t():
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446305 * math.sqrt(5 / 3) / 2  # t(0.975, 3) and the error of the mean, by hand
    assert (mean, low, high) == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-8)


def test_mean_interval_of_few_values():
    assert mean_interval([0.25, math.nan])[0] == 0.25
    assert all(math.isnan(bound) for bound in mean_interval([0.25])[1:])
    assert all(math.isnan(number) for number in mean_interval([]))
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1, 2], level=95)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_mean_interval_holds_the_mean_and_widens_with_the_level(values):
    mean, low, high = mean_interval(values, 0.9)
    _, wide_low, wide_high = mean_interval(values, 0.99)
    assert wide_low <= low <= mean <= high <= wide_high


def test_mean_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    intervals = [mean_interval(random.normal(3, 1, 6)) for _ in range(2000)]
    covered = np.mean([low <= 3 <= high for _, low, high in intervals])
    assert abs(covered - 0.95) < 0.015


def test_the_interval_over_pairs_counts_networks_not_pairs():
    random = np.random.default_rng(0)
    first, last = random.normal(0, 1, 10), random.normal(0, 1, 10)
    names = [(f"a{i}", f"b{j}", first[i] + last[j]) for i in range(10) for j in range(10)]
    mean, low, high = bootstrap_pairs(*zip(*names, strict=True), "test")
    assert mean == pytest.approx(first.mean() + last.mean()) and low < mean < high
    error = math.sqrt(first.var(ddof=1) / 10 + last.var(ddof=1) / 10)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    _, narrow, wide = bootstrap_interval([value for *_, value in names], "test")
    assert high - low > 1.5 * (wide - narrow)


def test_one_network_on_a_side_has_no_interval():
    mean, low, high = bootstrap_pairs(["a", "a"], ["b", "c"], [0.2, 0.4])
    assert mean == pytest.approx(0.3) and math.isnan(low) and math.isnan(high)


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    random, covered = np.random.default_rng(0), 0
    for _ in range(300):
        _, low, high = bootstrap_interval(random.binomial(1, 0.3, 60), "x")
        covered += low <= 0.3 <= high
    assert 0.89 < covered / 300 < 0.99


def test_bootstrap_is_repeatable_and_knows_what_is_not_measured():
    values = [0.1, 0.4, math.nan, 0.9]
    assert bootstrap_interval(values, "a") == bootstrap_interval(values, "a")
    assert bootstrap_interval(values, "a")[0] == pytest.approx(1.4 / 3)
    assert math.isnan(bootstrap_interval([], "a")[0])
    assert bootstrap_interval([0.5], "a")[0] == 0.5 and math.isnan(bootstrap_interval([1], "a")[1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap_interval([1, 2], level=95)

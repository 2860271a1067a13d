"""What tables say: means of methods, bands of accuracy, barriers of walks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lib.experiments import measures


def frame(target, given, agreement=1.0) -> pd.DataFrame:
    count = len(target)
    return pd.DataFrame(
        {
            "network": [f"n{i}" for i in range(count)],
            "method": "decoded",
            "embedder": "readout",
            "seed": 0,
            "target_accuracy": target,
            "accuracy": given,
            "agreement": agreement,
            "agreement_other": 0.5,
            "compression": 20.0,
        }
    )


def test_what_comes_back_exactly_is_summed_up_so():
    target = np.linspace(0.1, 1.0, 11)
    (row,) = measures.summary(frame(target, target)).to_dict("records")
    assert (row["error"], row["r2"], row["kendall_tau"], row["agreement"]) == (0, 1, 1, 1)
    assert row["correlation"] == pytest.approx(1) and row["networks"] == 11
    (row,) = measures.summary(frame(target, 1.1 - target)).to_dict("records")
    assert row["correlation"] == pytest.approx(-1) and row["kendall_tau"] == -1


def test_a_constant_has_no_correlation():
    target = np.array([0.2, 0.4, 0.9])
    (row,) = measures.summary(frame(target, np.full(3, 0.5))).to_dict("records")
    assert math.isnan(row["correlation"]) and math.isnan(row["kendall_tau"])
    assert row["error"] == pytest.approx((0.3 + 0.1 + 0.4) / 3)
    assert row["r2"] == pytest.approx(1 - np.mean((target - 0.5) ** 2) / target.var())


def test_architectures_are_summed_up_one_by_one_where_asked_for():
    target = np.linspace(0.1, 1.0, 4)
    both = pd.concat(
        [
            frame(target, target).assign(architecture="a"),
            frame(target, target - 0.1).assign(architecture="b"),
        ]
    )
    found = measures.summary(both, "architecture")
    assert found["architecture"].tolist() == ["a", "b"]
    assert found["error"].tolist() == pytest.approx([0, 0.1])
    assert measures.summary(both)["error"].tolist() == pytest.approx([0.05])


def test_networks_without_a_target_have_no_error():
    (row,) = measures.summary(frame(np.full(3, np.nan), np.full(3, 0.5))).to_dict("records")
    assert all(math.isnan(row[name]) for name in ("error", "correlation", "r2", "agreement_1"))


def test_bands_are_fifths_of_the_range():
    accuracies = np.array([0.0, 0.19, 0.21, 0.5, 0.79, 0.81, 1.0])
    assert measures.bands(accuracies).tolist() == [0, 0, 1, 2, 3, 4, 4]
    agreement = np.array([1.0, 0.8, 0.6, 0.5, 0.4, 0.2, 0.0])
    (row,) = measures.summary(frame(accuracies, accuracies, agreement)).to_dict("records")
    found = [row[f"agreement_{k}"] for k in range(1, 6)]
    assert found == pytest.approx([0.9, 0.6, 0.5, 0.4, 0.1])


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
        return measures.barriers(frame.sample(frac=1, random_state=0))["barrier"].item()

    assert walk([1.0, 0.2, 0.5]) == pytest.approx(0.55)
    assert walk([1.0, 0.3, 0.1, 0.8]) == pytest.approx(0.7)  # the two around the middle

"""The space of one architecture: optimisation in it, networks drawn from it, moves through it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import graded
from graded import CFG
from lib.config import Controls, Training
from lib.engine import ensemble
from lib.engine.training import Engine
from lib.explore import arithmetic, sampling, tuning
from lib.zoo.population import Population

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    return graded.zoo(toy)


# Optimisation


def optimized(toy, zoo, cfg=CFG) -> pd.DataFrame:
    splits = (toy.images, toy.validation, toy.test)
    controls = Controls(distill_rate=0.01)
    arguments = (toy.embedder, 2, ("o",), cfg, controls, zoo["train"], zoo["test"])
    return tuning.optimize(*arguments, *splits, toy.teacher)


def test_every_run_is_tested_at_its_best_step_alone(toy, zoo):
    found = optimized(toy, zoo)
    assert tuple(found.columns) == tuning.COLUMNS
    starts = found.groupby("method")["start"].unique().map(list)
    poor = [zoo["test"].names[i] for i in zoo["test"].scores.argsort(stable=True)[:2].tolist()]
    assert starts["latent"] == starts["weights"] == [*poor, "random-0", "random-1"]
    assert starts["distilled"] == ["fresh-0", "fresh-1"]
    best = zoo["train"].names[zoo["train"].scores.argmax()]
    assert starts["best_of_zoo"] == [best]
    for (method, _), run in found.groupby(["method", "start"]):
        assert run["step"].tolist() == ([0] if method == "best_of_zoo" else [0, 5, 10, 12])
        tested = run[run["test_accuracy"].notna()]
        assert len(tested) == 1
        assert tested["validation_accuracy"].item() == run["validation_accuracy"].max()
    pd.testing.assert_frame_equal(found, optimized(toy, zoo), check_exact=True)


def test_latents_and_their_weights_start_at_the_same_networks_and_get_better(toy, zoo, monkeypatch):
    far = ["x", "y"], 5 * torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(tuning, "starts_of", lambda *_: far)
    found = optimized(
        toy, zoo, CFG.model_copy(update={"optimization_steps": 60, "optimization_rate": 0.1})
    )
    first = found[found["step"] == 0].set_index(["method", "start"])["validation_accuracy"]
    assert first["latent"].equals(first["weights"])
    best = found.groupby(["method", "start"])["validation_accuracy"].max()
    for method in ("latent", "weights", "distilled"):
        assert (best[method] - first[method]).mean() > 0.1


# Draws


@pytest.mark.parametrize("kind", sampling.DENSITIES)
def test_draws_are_like_what_the_density_was_fitted_to(kind):
    random = np.random.default_rng(0)
    axes = random.normal(size=(3, 12))
    known, held_out = (random.normal(size=(n, 3)) @ axes + 4 for n in (200, 60))
    density = sampling.Density.fit(kind, known, held_out, "a")
    found = density.draw(400, "b")
    assert found.shape == (400, 12) and torch.equal(found, density.draw(400, "b"))
    assert not torch.equal(found, density.draw(400, "c"))
    assert found.mean(0).numpy() == pytest.approx(known.mean(0), abs=0.6)
    spread = found.std(0).numpy() / known.std(0)
    assert (spread > 0.7).all() and (spread < 1.4).all()
    # Nothing lies outside of the plane of what is known.
    flat = found.numpy().astype(float) - known.mean(0)
    outside = flat - flat @ np.linalg.pinv(axes) @ axes
    assert np.abs(outside).max() < 1e-2 * np.abs(flat).max()


@pytest.fixture(scope="module")
def drawn(toy, zoo) -> list[sampling.Drawn]:
    return sampling.draw(toy.embedder, ("d",), CFG, zoo, toy.validation)


def test_networks_are_drawn_for_each_band(zoo, drawn):
    assert [(one.band, one.kind) for one in drawn] == [
        (band, kind)
        for band in ("low", "middle", "high")
        for kind in ("kde", "mixture", "training", "noise")
    ]
    train = zoo["train"]
    own = dict(zip(train.names, train.scores.tolist(), strict=True))
    of = {one.band: one for one in drawn if one.kind == "training"}
    assert max(own[n] for n in of["low"].names) < min(own[n] for n in of["high"].names)
    for one in drawn:
        assert len(one.names) == len(one.flat) <= CFG.samples
        assert one.flat.isfinite().all()
        if one.kind == "training":
            rows = [train.names.index(name) for name in one.names]
            assert torch.equal(one.flat, train.flat[rows])
        assert math.isnan(one.level) == (one.kind != "noise")


def test_drawn_networks_are_looked_at_as_they_are_and_after_training(toy, zoo, drawn):
    training = Training(batch_size=16, optimizer="adam")
    arguments = (drawn, 6, ("d",), CFG, training, toy.images, toy.test, zoo["train"], Engine())
    found = sampling.sampled(*arguments)
    assert tuple(found.columns) == sampling.COLUMNS
    counts = found.groupby(["kind", "epochs"])["network"].count()
    for kind in ("kde", "mixture", "noise"):
        assert [counts[kind, epochs] for epochs in (0, 1, 2)] == [12, 6, 6]
    assert [counts["initialised", epochs] for epochs in (0, 1, 2)] == [2, 2, 2]
    assert counts["training"].to_dict() == {0: 12}
    by = found.groupby(["kind", "epochs"])["accuracy"].mean()
    assert by["initialised", 2] > by["initialised", 0]
    one = drawn[0]
    outputs = zoo["train"].family.predict(one.flat, toy.test.x)
    here = found[(found["kind"] == one.kind) & (found["band"] == "low") & (found["epochs"] == 0)]
    assert here["accuracy"].tolist() == ensemble.accuracy(outputs, toy.test.y).tolist()


def test_drawn_networks_are_compared_with_the_training_networks(toy, zoo, drawn):
    found = sampling.compared(toy.embedder, 6, drawn, zoo, toy.test)
    counts = found.groupby("kind").size().to_dict()
    assert counts == {"held_out": 9, "decoded_test": 9, "kde": 12, "mixture": 12, "noise": 12}
    assert set(found["band"]) == set(sampling.BANDS)
    noise = found[found["kind"] == "noise"]
    assert (noise["nearest_weights"] == noise["network"]).mean() > 0.5
    assert set(found["nearest_weights"]) <= set(zoo["train"].names)


# Moves


def test_the_direction_leads_from_the_worst_to_the_best():
    points = torch.tensor([[0.0, 1.0], [2.0, 1.0], [9.0, 9.0], [4.0, 3.0]])
    found = arithmetic.direction(points, np.array([0, 0, 1, 2]))
    assert found.tolist() == [3.0, 2.0]


def test_the_table_of_moves(toy, zoo):
    arguments = (toy.embedder, 7, ("m",), CFG, zoo, toy.validation, toy.test)
    found = arithmetic.arithmetic(*arguments)
    assert tuple(found.columns) == arithmetic.COLUMNS and len(found) == 9 * 3 * 2
    still = found[found["scale"] == 0]
    assert not still["change"].any()
    test = zoo["test"]
    own = ensemble.accuracy(test.outputs(toy.test), toy.test.y).tolist()
    assert still.loc[still["method"] == "weights", "accuracy"].tolist() == pytest.approx(own)
    # One scale for each method and band.
    assert found[found["chosen"]].groupby(["method", "band"])["scale"].nunique().eq(1).all()
    bands = sampling.bands_of(zoo["train"], zoo["train"])
    moved = test.flat + arithmetic.direction(zoo["train"].flat, bands)
    outputs = test.family.predict(moved, toy.test.x)
    once = found[(found["method"] == "weights") & (found["scale"] == 1)]
    assert once["accuracy"].tolist() == ensemble.accuracy(outputs, toy.test.y).tolist()


def test_the_scale_is_chosen_by_the_mean_of_a_band():
    kept = {0.0: np.array([0.5, 0.9]), 1.0: np.array([0.7, 0.2]), 2.0: np.array([0.7, 0.9])}
    assert arithmetic._best(kept, np.array([0, 2])) == {0: 1.0, 2: 0.0}

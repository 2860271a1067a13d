"""Networks drawn from a space: densities, bands, and what training does to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import graded
from graded import NAME
from lib.config.experiments import Sampling
from lib.config.zoos import Training
from lib.core.streams import Stream
from lib.engine import ensemble
from lib.engine.training import Engine
from lib.experiments import sampling
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.task import Task
from lib.zoo.population import Population
from tasks import task
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")

CFG = Sampling(samples=4, finetuned=2, epochs=(1, 2))


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    return graded.zoo(toy)


@pytest.mark.parametrize("kind", sampling.DENSITIES)
def test_draws_are_like_what_the_density_was_fitted_to(kind):
    random = np.random.default_rng(0)
    axes = random.normal(size=(3, 12))
    known, held_out = (random.normal(size=(n, 3)) @ axes + 4 for n in (200, 60))
    density = sampling.Density.fit(kind, known, held_out, Stream("a"))
    found = density.draw(400, Stream("b"))
    assert found.shape == (400, 12) and torch.equal(found, density.draw(400, Stream("b")))
    assert not torch.equal(found, density.draw(400, Stream("c")))
    assert found.mean(0).numpy() == pytest.approx(known.mean(0), abs=0.6)
    spread = found.std(0).numpy() / known.std(0)
    assert (spread > 0.7).all() and (spread < 1.4).all()
    # Nothing lies outside of the plane of what is known.
    flat = found.numpy().astype(float) - known.mean(0)
    outside = flat - flat @ np.linalg.pinv(axes) @ axes
    assert np.abs(outside).max() < 1e-2 * np.abs(flat).max()


@pytest.fixture(scope="module")
def drawn(toy, zoo) -> list[sampling.Drawn]:
    return sampling.draw(toy.embedder, Stream("d"), CFG.samples, zoo, toy.validation)


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


def sampled(toy, zoo, **more) -> Task:
    networks = {split: {NAME: population} for split, population in zoo.items()}
    training = Training(batch_size=16, optimizer="adam")
    return task(toy, "sampling", networks, seed=6, training=training, engine=Engine(), **more)


def test_drawn_networks_are_looked_at_as_they_are_and_after_training(toy, zoo):
    given = sampled(toy, zoo)
    table = sampling.run(given, CFG)
    assert tuple(table.columns) == CLASSIFIERS["sampling"]
    assert set(table["architecture"]) == {NAME} and set(table["seed"]) == {6}
    counts = table.groupby(["kind", "epochs"])["network"].count()
    for kind in ("kde", "mixture", "noise"):
        assert [counts[kind, epochs] for epochs in (0, 1, 2)] == [12, 6, 6]
    assert [counts["initialised", epochs] for epochs in (0, 1, 2)] == [2, 2, 2]
    assert counts["training"].to_dict() == {0: 12}
    by = table.groupby(["kind", "epochs"])["accuracy"].mean()
    assert by["initialised", 2] > by["initialised", 0]
    one = sampling.drawn_of(given, CFG, NAME, 6)[0]
    outputs = zoo["train"].family.predict(one.flat, toy.test.x)
    here = table[(table["kind"] == one.kind) & (table["band"] == "low") & (table["epochs"] == 0)]
    assert here["accuracy"].tolist() == ensemble.accuracy(outputs, toy.test.y).tolist()


def test_other_experiments_of_the_space_draw_the_same_networks(toy, zoo):
    networks = {split: {NAME: population} for split, population in zoo.items()}
    first = sampling.drawn_of(task(toy, "sampling", networks, seed=6), CFG, NAME, 6)
    again = sampling.drawn_of(task(toy, "novelty", networks, seed=6), CFG, NAME, 6)
    assert all(a.flat.equal(b.flat) for a, b in zip(first, again, strict=True))


def test_every_architecture_is_drawn_from(toy):
    given = task(
        toy, "sampling", training=Training(batch_size=16, optimizer="adam"), engine=Engine()
    )
    table = sampling.run(given, CFG)
    fresh = table[table["kind"] == "initialised"].groupby("architecture").size()
    assert fresh.to_dict() == dict.fromkeys(NAMES, 6)

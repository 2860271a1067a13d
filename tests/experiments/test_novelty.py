"""Novelty: known copies, known strangers, and the table of what is decoded and drawn."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import graded
from graded import NAME
from lib.config.experiments import Novelty, Sampling
from lib.engine import ensemble
from lib.experiments import novelty
from lib.experiments.bands import BANDS
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.novelty import Known
from lib.zoo.population import Population
from tasks import task
from toy import CFG, NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def known(toy, one_thread):
    return {name: Known.of(population, toy.test) for name, population in toy.zoo["train"].items()}


def test_the_distance_is_the_root_mean_square_over_layers_in_units_of_their_spread(toy, known):
    population = toy.zoo["train"]["LeNetLike"]
    one, other = population.flat[0], toy.zoo["test"]["LeNetLike"].flat[0]
    parts = []
    for entry in population.family.layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        spread = population.flat[:, place].numpy().std()
        parts.append((((one - other)[place].numpy() / spread) ** 2).mean())
    distance = known["LeNetLike"].distances(other[None])[0, 0].item()
    assert distance == pytest.approx(math.sqrt(np.mean(parts)), rel=1e-4)


def test_strangers_are_at_the_root_of_two_and_copies_at_zero(toy):
    family = toy.zoo["train"]["LeNetLike"].family
    flat = torch.randn(20, family.layout.size, generator=torch.Generator().manual_seed(0))
    frame = pd.DataFrame({"network": [str(i) for i in range(20)], "validation_accuracy": 0.5})
    distances = Known.of(Population(family, frame, flat), toy.test).distances(flat)
    assert not distances.diagonal().any()
    assert distances[~torch.eye(20, dtype=torch.bool)].mean() == pytest.approx(2**0.5, abs=0.05)


def test_errors_in_common():
    wrong = torch.tensor([True, True, False, False])
    others = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    assert novelty._overlap(wrong, others).tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert novelty._overlap(others[3], others[3:]).tolist() == [1]


def test_a_training_network_is_its_own_copy_unless_it_is_left_out(toy, known):
    for name, training in known.items():
        population = training.population
        copies = pd.DataFrame(training.rows("x", population.names, population.flat))
        assert copies["nearest_weights"].tolist() == population.names
        assert copies["nearest_outputs"].tolist() == population.names
        assert not copies["weight_distance"].any()
        overlaps = ["error_overlap", "error_overlap_most"]
        assert (copies[["agreement", *overlaps]] == 1).all(axis=None)
        others = pd.DataFrame(training.rows("x", population.names, population.flat, own=True))
        assert (others["nearest_weights"] != population.names).all()
        assert (others["nearest_outputs"] != population.names).all()
        assert (others["weight_distance"] > 0.3).all()
        assert (others[overlaps] >= 0).all(axis=None)
        chain = name != "ResNet8"
        assert others["aligned_distance"].notna().all() == chain
        if chain:
            assert (others["aligned_distance"] <= others["weight_distance"] + 1e-6).all()
        wanted = ensemble.accuracy(population.outputs(toy.test), toy.test.y).tolist()
        assert others["accuracy"].tolist() == pytest.approx(wanted)


def test_a_training_network_alone_has_no_other_to_be_compared_with(toy):
    alone = Known.of(toy.zoo["train"]["LeNetLike"].first(1), toy.test)
    assert alone.rows("x", ["a"], alone.population.flat, own=True) == []


@pytest.fixture(scope="module")
def table(toy):
    return novelty.run(task(toy, "novelty"), Novelty())


def test_the_table_of_novelty_has_each_network_of_each_kind(table):
    assert tuple(table.columns) == CLASSIFIERS["novelty"]
    pairs = {f"LeNetLike-000{i}:ResNet8-000{i}@0.5000" for i in range(2)}
    wanted = {
        "training": {f"{name}-{i:04d}" for name in NAMES for i in range(4, 7)},
        "held_out": {f"{name}-{i:04d}" for name in NAMES for i in range(2)},
        "midpoint": {f"{name}-0000:{name}-0001@0.5" for name in NAMES},
        "interpolated": pairs,
    }
    wanted |= {"decoded_training": wanted["training"], "decoded_test": wanted["held_out"]}
    for kind, names in wanted.items():
        assert set(table.loc[table["kind"] == kind, "network"]) == names, kind
    noise = table[table["kind"] == "noise"]
    assert len(noise) == 6 and set(noise["network"]) <= wanted["training"]
    assert noise["level"].notna().all() and table["level"].notna().sum() == 6
    assert set(table["kind"]) == {*wanted, "noise"}  # nothing was drawn
    zoo = table["kind"].isin(["training", "held_out"])
    assert set(table.loc[zoo, "embedder"]) == {"none"} and set(table.loc[zoo, "seed"]) == {0}
    assert set(table.loc[~zoo, "embedder"]) == {CFG.arm} and set(table.loc[~zoo, "seed"]) == {3}
    for column in ("nearest_weights", "nearest_outputs"):
        assert [name.split("-")[0] for name in table[column]] == table["architecture"].tolist()
    single = table["kind"].isin(["held_out", "decoded_test"])
    assert set(table.loc[single, "band"]) <= set(BANDS) and not table.loc[~single, "band"].any()


def test_errors_in_common_are_those_with_the_nearest_network_by_answers(toy, table, known):
    assert (table["error_overlap"] <= table["error_overlap_most"]).all()
    assert (table["error_overlap"] < table["error_overlap_most"]).any()
    for row in table[table["kind"] == "held_out"].itertuples():
        training, test = known[row.architecture], toy.zoo["test"][row.architecture]
        own = test.flat[[test.names.index(row.network)]]
        near = training.population.names.index(row.nearest_outputs)
        wrong, others = (
            outputs.argmax(-1) != toy.test.y
            for outputs in (test.family.predict(own, toy.test.x)[0], training.outputs[near])
        )
        wanted = (wrong & others).sum() / (wrong | others).sum()
        assert row.error_overlap == pytest.approx(wanted.item())


def test_decoded_networks_are_those_of_their_latents(toy, table, known):
    rows = table[table["kind"].isin(["decoded_test", "decoded_training"])]
    for row in rows.itertuples():
        module = toy.embedder.decode(toy.embedder.encode(row.network, toy.catalogue))
        assert module.architecture == row.architecture
        with torch.no_grad():
            outputs = module(toy.test.x)
        assert row.accuracy == pytest.approx(ensemble.accuracy(outputs, toy.test.y).item())
        outputs_known = known[row.architecture].outputs
        agreement = ensemble.agreement(outputs_known, outputs).max().item()
        assert row.agreement == pytest.approx(agreement)


def test_drawn_networks_are_compared_with_the_training_networks(toy):
    zoo = {split: {NAME: population} for split, population in graded.zoo(toy).items()}
    given = task(toy, "novelty", zoo, seed=6, sampling=Sampling(samples=4))
    training = {NAME: Known.of(zoo["train"][NAME], toy.test)}
    rows = [*novelty.zoo_rows(training, zoo["test"]), *novelty.drawn_rows(given, training, 6)]
    table = pd.DataFrame(rows)
    counts = table.groupby("kind").size().to_dict()
    assert counts == {"training": 15, "held_out": 9, "kde": 12, "mixture": 12, "noise": 12}
    assert set(table.loc[table["kind"] != "training", "band"]) == set(BANDS)
    noise = table[table["kind"] == "noise"]
    assert (noise["nearest_weights"] == noise["network"]).mean() > 0.5
    assert set(table["nearest_weights"]) <= set(zoo["train"][NAME].names)


def test_what_was_drawn_stands_in_the_table_with_its_band(toy):
    zoo = graded.zoo(toy)
    networks = {split: {**toy.zoo[split], NAME: zoo[split]} for split in toy.zoo}
    table = novelty.run(task(toy, "novelty", networks, sampling=Sampling(samples=2)), Novelty())
    drawn = table[table["kind"].isin(["kde", "mixture"])]
    graded_rows = drawn[drawn["architecture"] == NAME]
    assert graded_rows.groupby("band").size().to_dict() == dict.fromkeys(BANDS, 4)
    noise = table[(table["kind"] == "noise") & (table["architecture"] == NAME)]
    assert noise.groupby("band").size().to_dict() == {"": 9} | dict.fromkeys(BANDS, 2)
    assert set(drawn["embedder"]) == {CFG.arm} and set(drawn["seed"]) == {3}

"""Exploration: walks between networks, latent-space optimisation, the map of all latents."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lib.config import Controls, Exploration
from lib.engine import ensemble
from lib.explore import latents, optimization
from lib.explore.interpolation import COLUMNS, interpolate, points_of
from lib.explore.optimization import COLUMNS as OPTIMIZATION_COLUMNS
from lib.explore.optimization import Best, optimize
from toy import NAMES

CFG = Exploration(
    points=7,
    pairs=2,
    optimization_steps=25,
    optimization_rate=0.05,
    optimization_starts=3,
    optimization_every=10,
    optimization_batch=16,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def always(k: int):
    """A head that predicts class k for every latent."""
    return lambda latent: F.one_hot(torch.tensor(k), 3).float().expand(len(latent), -1)


def accuracy(population, flat, images) -> list[float]:
    return ensemble.accuracy(population.family.predict(flat, images.x), images.y).tolist()


# Interpolation


@pytest.mark.parametrize("points", [4, 10, 31, 100, 1000])
def test_a_curve_has_its_points_and_the_inner_places_among_them(points):
    cfg = CFG.model_copy(update={"points": points})
    found = points_of(cfg, 4, (3, 3))
    assert [(i, j) for i, j, _ in found] == [(i, j) for i in range(3) for j in range(3)]
    for i, j, gammas in found:
        if i == j and i < 2:
            assert len(gammas) == points and gammas == sorted(gammas)
            assert gammas[0] == 0 and gammas[-1] == 1 and {1 / 3, 2 / 3} <= set(gammas)
            assert np.diff(gammas) == pytest.approx(1 / (points - 1))
        else:
            assert gammas == [1 / 3, 2 / 3]


def test_inner_places_that_are_no_points_of_the_curve_are_added():
    (_, _, gammas), *_ = points_of(CFG.model_copy(update={"points": 6}), 4, (1, 2))
    assert gammas == [0, 0.2, 1 / 3, 0.4, 0.6, 2 / 3, 0.8, 1]
    (_, _, curve), (_, _, nothing) = points_of(CFG.model_copy(update={"points": 3}), 2, (1, 2))
    assert curve == [0, 0.5, 1] and nothing == []


@pytest.fixture(scope="module")
def walks(toy, one_thread) -> pd.DataFrame:
    zoo = toy.zoo
    return interpolate(toy.embedder, 5, CFG, zoo["train"], zoo["test"], toy.test)


def test_the_table_of_walks_has_every_pair_point_and_method_once(walks):
    assert tuple(walks.columns) == COLUMNS and set(walks["seed"]) == {5}
    assert not walks.duplicated(["pair", "method", "gamma"]).any()
    counts = walks.groupby(["pair", "method"]).size()
    for (pair, _), count in counts.items():
        first, last = (int(network[-4:]) for network in pair.split(":"))
        assert count == (7 if first == last else 1)
        assert pair == f"LeNetLike-{first:04d}:ResNet8-{last:04d}"
    assert len(counts) == 4 * 3 and set(walks["method"]) == {"latent", "weights", "constant"}
    assert walks["accuracy"].between(0, 1).all()


def test_the_ends_of_a_walk_are_the_reconstructions_of_its_networks(toy, walks):
    arm = toy.embedder.arm
    at = walks[walks["method"] == "latent"].set_index(["pair", "gamma"])
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
        zoo = toy.zoo
        table = interpolate(toy.embedder, 0, CFG, zoo["train"], zoo["test"], toy.test)
        assert set(table["predicted_architecture"]) == {NAMES[k]}
        raw = table[(table["method"] == "weights") & (table["gamma"] == gamma)]
        population = toy.zoo["test"][NAMES[k]]
        assert raw["accuracy"].tolist() == accuracy(population, population.flat, toy.test)
        constant = accuracy(population, zoo["train"][NAMES[k]].best()[None], toy.test)
        assert table[table["method"] == "constant"]["accuracy"].unique().tolist() == constant


# Latent-space optimisation


def run(toy, cfg=CFG, seed: int = 1) -> pd.DataFrame:
    splits = (toy.images, toy.validation, toy.test)
    controls = Controls(distill_rate=0.01)
    return optimize(toy.embedder, seed, 0, cfg, controls, toy.zoo["train"], *splits, toy.teacher)


@pytest.fixture(scope="module")
def optimized(toy, one_thread) -> pd.DataFrame:
    return run(toy)


def test_the_table_of_optimisation_has_at_most_one_test_accuracy_for_each_start(optimized):
    assert tuple(optimized.columns) == OPTIMIZATION_COLUMNS
    assert set(optimized["architecture"]) == set(NAMES) and set(optimized["seed"]) == {1}
    for (_, method, _), group in optimized.groupby(["architecture", "method", "start"]):
        tested = group[group["test_accuracy"].notna()]
        assert group["step"].tolist() == ([0] if method == "best_of_zoo" else [0, 10, 20, 25])
        assert len(tested) <= 1 if method == "latent" else len(tested) == 1
        if method != "latent":
            assert tested["validation_accuracy"].item() == group["validation_accuracy"].max()
    starts = optimized[optimized["method"] == "latent"].groupby("architecture")["start"].unique()
    assert all(sorted(found) == sorted(starts.iloc[0]) for found in starts)
    assert len(starts.iloc[0]) == 3
    assert set(starts.iloc[0]) <= {f"{name}-{i:04d}" for name in NAMES for i in range(4, 7)}


def test_equal_runs_of_optimisation_give_equal_tables(toy, optimized):
    pd.testing.assert_frame_equal(run(toy), optimized, check_exact=True)
    assert not run(toy, seed=2).equals(optimized)


def test_optimisation_makes_poor_networks_better(toy, monkeypatch):
    rng = torch.Generator().manual_seed(0)
    far = ["x", "y", "z"], 5 * torch.randn(3, 16, generator=rng)
    monkeypatch.setattr(optimization, "_starts", lambda *_: far)
    table = run(toy, CFG.model_copy(update={"optimization_steps": 60, "optimization_rate": 0.1}))
    for method in ("latent", "distilled"):
        runs = table[table["method"] == method].groupby(["architecture", "start"])
        scores = runs["validation_accuracy"]
        assert (scores.last() - scores.first()).mean() > 0.1


def test_the_head_moves_latents_to_the_required_architecture(toy):
    cfg = CFG.model_copy(update={"optimization_steps": 60, "optimization_rate": 0.1})
    table = run(toy, cfg)
    latent = table[table["method"] == "latent"]
    assert latent.groupby(["architecture", "start"])["test_accuracy"].count().eq(1).all()
    for name in NAMES:
        there = latent[(latent["architecture"] == name) & latent["test_accuracy"].notna()]
        elsewhere = there[~there["start"].str.startswith(name)]
        assert (elsewhere["step"] > 0).all()  # there, the architecture was still another


def test_a_run_that_never_becomes_the_required_architecture_has_no_test_accuracy(toy, monkeypatch):
    monkeypatch.setattr(toy.embedder.arm, "classify", always(0))
    table = run(toy, CFG.model_copy(update={"optimization_steps": 4}))
    latent = table[table["method"] == "latent"]
    tested = latent.groupby("architecture")["test_accuracy"].count()
    assert tested.to_dict() == {"LeNetLike": 3, "VanillaCNN": 0, "ResNet8": 0}
    assert latent["validation_accuracy"].notna().all()


def test_the_best_allowed_step_is_tested(toy):
    population = toy.zoo["train"]["LeNetLike"]
    order = population.scores.argsort(descending=True)
    good, bad = population.flat[order[:1]], torch.zeros_like(population.flat[:1])
    best = Best(population, toy.validation)
    best.see(0, torch.cat([good, bad, good]), torch.tensor([False, True, False]))
    best.see(5, torch.cat([bad, good, good]), torch.tensor([True, True, False]))
    best.see(10, torch.cat([good, bad, good]), torch.tensor([False, True, False]))
    rows = best.table("latent", ["a", "b", "c"], 3, toy.test)
    tested = {(row[5], row[2]): row[4] for row in rows if not np.isnan(row[4])}
    assert tested == {
        ("a", 5): accuracy(population, bad, toy.test)[0],
        ("b", 5): accuracy(population, good, toy.test)[0],
    }
    assert len(rows) == 9 and {row[6] for row in rows} == {3}


# The map


def test_all_networks_are_encoded_in_order_and_mapped_alike_every_time(toy):
    zoo = [toy.zoo[split] for split in ("train", "validation", "test")]
    frame, found = latents.encode_all(toy.embedder, zoo)
    assert found.shape == (21, 16) and len(frame) == 21
    row = frame.index[frame["network"] == "VanillaCNN-0003"].item()
    wanted = toy.embedder.encode("VanillaCNN-0003", toy.catalogue)
    assert torch.allclose(found[row], wanted, atol=1e-5)
    table = latents.latent_map(toy.embedder, frame, found, 4)
    again = latents.latent_map(toy.embedder, *latents.encode_all(toy.embedder, zoo), 4)
    pd.testing.assert_frame_equal(table, again, check_exact=True)
    assert list(table["network"]) == list(frame["network"]) and set(table["seed"]) == {4}
    assert table.loc[row, "predicted_architecture"] == toy.embedder.predict(found[row])
    train = table[table["split"] == "train"]
    means = train.groupby("architecture")[["x", "y"]].mean()
    assert means["x"].std() >= means["y"].std() and train["y"].std() > 0


def test_preps_of_one_network_of_each_architecture_before_and_after(toy, tmp_path):
    latents.write_preps(tmp_path / "preps.h5", toy.embedder, toy.zoo["test"])
    with h5py.File(tmp_path / "preps.h5") as file:
        assert set(file) == set(NAMES)
        for name, group in file.items():
            flat = toy.zoo["test"][name].flat[0].numpy()
            original, decoded = group["original"][()], group["decoded"][()]
            height, width = original.shape
            assert decoded.shape == original.shape and decoded.dtype == np.float32
            assert 3.5 < width / height < 4.5 and height * width - flat.size < width
            assert (original.ravel()[: flat.size] == flat).all()
            assert (original.ravel()[flat.size :] == 0).all()
            assert np.isfinite(decoded).all() and (decoded != original).any()
            assert group.attrs["network"] == f"{name}-0000"
    assert [path.name for path in tmp_path.iterdir()] == ["preps.h5"]

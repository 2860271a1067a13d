"""Optimisation towards good networks, from training networks, poor ones and random latents."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import graded
from lib.config.experiments import LatentOptimization
from lib.config.spaces import Controls
from lib.engine import ensemble
from lib.experiments import latent_optimization
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.latent_optimization import Best, Starts
from lib.zoo.population import Population
from tasks import task
from toy import NAMES

CFG = LatentOptimization(
    steps=25, rate=0.05, schedule="constant", starts=3, start_from=("training",), every=10, batch=16
)
ONE = LatentOptimization(steps=12, starts=2, every=5, batch=16)

pytestmark = pytest.mark.usefixtures("one_thread")


def always(k: int):
    """A head that predicts class k for every latent."""
    return lambda latent: F.one_hot(torch.tensor(k), 3).float().expand(len(latent), -1)


def accuracy(population, flat, images) -> list[float]:
    return ensemble.accuracy(population.family.predict(flat, images.x), images.y).tolist()


def optimized(toy, cfg=CFG, seed: int = 1, zoo=None) -> pd.DataFrame:
    more = {"controls": Controls(distill_rate=0.01), "teacher": toy.teacher}
    given = task(toy, "latent_optimization", zoo, seed, **more)
    return latent_optimization.run(given, cfg)


@pytest.fixture(scope="module")
def found(toy, one_thread) -> pd.DataFrame:
    return optimized(toy)


# Several architectures


def test_the_table_has_at_most_one_test_accuracy_for_each_start(found):
    assert tuple(found.columns) == CLASSIFIERS["latent_optimization"]
    assert set(found["architecture"]) == set(NAMES) and set(found["seed"]) == {1}
    for (_, method, _), group in found.groupby(["architecture", "method", "start"]):
        tested = group[group["test_accuracy"].notna()]
        assert group["step"].tolist() == ([0] if method == "best_of_zoo" else [0, 10, 20, 25])
        assert len(tested) <= 1 if method == "latent" else len(tested) == 1
        if method != "latent":
            assert tested["validation_accuracy"].item() == group["validation_accuracy"].max()
    starts = found[found["method"] == "latent"].groupby("architecture")["start"].unique()
    assert all(sorted(found) == sorted(starts.iloc[0]) for found in starts)
    assert len(starts.iloc[0]) == 3
    assert set(starts.iloc[0]) <= {f"{name}-{i:04d}" for name in NAMES for i in range(4, 7)}
    kinds = found.groupby("method")["start_from"].unique().map(list).to_dict()
    assert kinds == {
        "latent": ["training"],
        "weights": ["training"],
        "distilled": ["fresh"],
        "best_of_zoo": ["zoo"],
    }


def test_equal_runs_of_optimisation_give_equal_tables(toy, found):
    pd.testing.assert_frame_equal(optimized(toy), found, check_exact=True)
    assert not optimized(toy, seed=2).equals(found)


def test_optimisation_makes_poor_networks_better(toy, monkeypatch):
    rng = torch.Generator().manual_seed(0)
    far = Starts(["x", "y", "z"], ["random"] * 3, 5 * torch.randn(3, 16, generator=rng))
    monkeypatch.setattr(latent_optimization, "starts_of", lambda *_: far)
    table = optimized(toy, CFG.model_copy(update={"steps": 60, "rate": 0.1}))
    for method in ("latent", "distilled"):
        runs = table[table["method"] == method].groupby(["architecture", "start"])
        scores = runs["validation_accuracy"]
        assert (scores.last() - scores.first()).mean() > 0.1


def test_the_head_moves_latents_to_the_required_architecture(toy):
    table = optimized(toy, CFG.model_copy(update={"steps": 60, "rate": 0.1}))
    latent = table[table["method"] == "latent"]
    assert latent.groupby(["architecture", "start"])["test_accuracy"].count().eq(1).all()
    for name in NAMES:
        there = latent[(latent["architecture"] == name) & latent["test_accuracy"].notna()]
        elsewhere = there[~there["start"].str.startswith(name)]
        assert (elsewhere["step"] > 0).all()  # there, the architecture was still another


def test_a_run_that_never_becomes_the_required_architecture_has_no_test_accuracy(toy, monkeypatch):
    monkeypatch.setattr(toy.embedder.arm, "classify", always(0))
    table = optimized(toy, CFG.model_copy(update={"steps": 4}))
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
    rows = best.rows([{"start": name} for name in "abc"], toy.test)
    tested = {
        (row["start"], row["step"]): row["test_accuracy"]
        for row in rows
        if not np.isnan(row["test_accuracy"])
    }
    assert tested == {
        ("a", 5): accuracy(population, bad, toy.test)[0],
        ("b", 5): accuracy(population, good, toy.test)[0],
    }
    assert len(rows) == 9 and {row["architecture"] for row in rows} == {"LeNetLike"}


def test_poor_starts_are_the_worst_of_all_architectures_and_random_ones_lie_among_latents(toy):
    cfg = ONE.model_copy(update={"starts": 2, "start_from": ("poor", "random", "training")})
    given = task(toy, "latent_optimization")
    starts = latent_optimization.starts_of(toy.embedder, given, cfg, given.stream)
    assert starts.kinds == [kind for kind in cfg.start_from for _ in range(2)]
    frames = [population.frame for population in toy.zoo["test"].values()]
    worst = pd.concat(frames).sort_values("validation_accuracy", kind="stable")["network"][:2]
    assert starts.names[:4] == [*worst, "random-0", "random-1"]
    for name, latent in zip(starts.names[:2], starts.latents, strict=False):
        wanted = toy.embedder.encode(name, toy.catalogue)
        torch.testing.assert_close(latent, wanted, atol=1e-4, rtol=1e-4)
    assert starts.latents.shape == (6, 16) and starts.latents.isfinite().all()


# One architecture


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, dict[str, Population]]:
    return {split: {graded.NAME: found} for split, found in graded.zoo(toy).items()}


def test_every_run_is_tested_at_its_best_step_alone(toy, zoo):
    toy = alone(toy)
    found = optimized(toy, ONE, zoo=zoo)
    train, test = (zoo[split][graded.NAME] for split in ("train", "test"))
    starts = found.groupby("method")["start"].unique().map(list)
    poor = [test.names[i] for i in test.scores.argsort(stable=True)[:2].tolist()]
    assert starts["latent"] == starts["weights"] == [*poor, "random-0", "random-1"]
    assert starts["distilled"] == ["fresh-0", "fresh-1"]
    assert starts["best_of_zoo"] == [train.names[train.scores.argmax()]]
    latent = found[found["method"] == "latent"].groupby("start")["start_from"].unique().map(list)
    assert latent[poor[0]] == ["poor"] and latent["random-1"] == ["random"]
    for (method, _), run in found.groupby(["method", "start"]):
        assert run["step"].tolist() == ([0] if method == "best_of_zoo" else [0, 5, 10, 12])
        tested = run[run["test_accuracy"].notna()]
        assert len(tested) == 1
        assert tested["validation_accuracy"].item() == run["validation_accuracy"].max()
    pd.testing.assert_frame_equal(found, optimized(toy, ONE, zoo=zoo), check_exact=True)


def test_latents_and_their_weights_start_at_the_same_networks_and_get_better(toy, zoo, monkeypatch):
    drawn = 5 * torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    far = Starts(["x", "y"], ["random"] * 2, drawn)
    monkeypatch.setattr(latent_optimization, "starts_of", lambda *_: far)
    found = optimized(alone(toy), ONE.model_copy(update={"steps": 60, "rate": 0.1}), zoo=zoo)
    first = found[found["step"] == 0].set_index(["method", "start"])["validation_accuracy"]
    assert first["latent"].equals(first["weights"])
    best = found.groupby(["method", "start"])["validation_accuracy"].max()
    for method in ("latent", "weights", "distilled"):
        assert (best[method] - first[method]).mean() > 0.1


def alone(toy):
    """The study in miniature with an arm that knows the one architecture alone."""
    arm = copy.copy(toy.embedder.arm)
    arm.families = {graded.NAME: arm.families[graded.NAME]}
    arm.classify = lambda latent: latent.new_zeros(*latent.shape[:-1], 1)
    embedder = copy.copy(toy.embedder)
    embedder.arm = arm
    return replace(toy, embedder=embedder)

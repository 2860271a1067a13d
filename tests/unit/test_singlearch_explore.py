"""The space of one architecture: walks, optimisation, what is known of a network, draws, moves."""

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
from torch import nn

from lib import ensemble
from lib.alignment import Neurons
from lib.config import Controls, SingleExploration, Training
from lib.embed.arm import Space
from lib.evaluate import performance, properties
from lib.explore import arithmetic, blends, sampling, tuning
from lib.explore.latents import performance_map
from lib.population import Population
from lib.prep import Layout
from lib.repair import RepairError, mixed, moments, repaired
from lib.training import Engine

pytestmark = pytest.mark.usefixtures("one_thread")
NAME = "ResNet8"
CFG = SingleExploration(
    points=5,
    pairs=3,
    reset_images=32,
    components=3,
    optimization_steps=12,
    optimization_starts=2,
    optimization_every=5,
    optimization_batch=16,
    samples=4,
    finetuned=2,
    finetune_epochs=(1, 2),
    scales=(0.0, 1.0),
)


@pytest.fixture(scope="module")
def zoo(toy, one_thread) -> dict[str, Population]:
    """ResNets from chance to good: good ones with more and more noise on their weights."""
    known, found = toy.zoo["train"][NAME], {}
    for number, (split, count) in enumerate({"train": 15, "validation": 6, "test": 9}.items()):
        rng = torch.Generator().manual_seed(number)
        noise = torch.randn(count, known.flat.shape[1], generator=rng) * known.spread()
        level = torch.linspace(0, 1.5, count)[:, None]
        flat = known.flat[torch.arange(count) % 3] + level * noise
        accuracy = ensemble.accuracy(known.space.predict(flat, toy.validation.x), toy.validation.y)
        frame = pd.DataFrame(
            {
                "network": [f"{split}-{i}" for i in range(count)],
                "validation_accuracy": accuracy.double().numpy(),
                "epochs": [1 + count - i for i in range(count)],
                "learning_rate": 0.1,
            }
        )
        found[split] = Population(known.space, frame, flat)
    return found


# Repair


def flat_of(module: nn.Module) -> torch.Tensor:
    return Layout.of(module).flatten(module.state_dict())


def test_moments_are_those_of_a_layer_before_its_activation(toy, zoo):
    space, flat = zoo["train"].space, zoo["train"].flat[:2]
    found = moments(space.module, ["conv"], flat, toy.images.x)
    weight, bias = (space.layout.unflatten(flat)[f"conv.{part}"] for part in ("weight", "bias"))
    made = nn.functional.conv2d(toy.images.x, weight[1], bias[1], padding=1)
    mean, spread = found["conv"]
    torch.testing.assert_close(mean[1], made.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    wanted = made.transpose(0, 1).flatten(1).std(1, correction=0)
    torch.testing.assert_close(spread[1], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["ResNet8", "VanillaCNN", "LeNetLike"])
def test_repaired_networks_have_the_moments_wanted_in_every_layer(toy, name):
    space, flat = toy.zoo["train"][name].space, toy.zoo["train"][name].flat
    layers, x = Neurons.of(space.module).layers, toy.images.x
    first, last = (moments(space.module, layers, flat[[k]], x) for k in (0, 1))
    gamma = torch.tensor([0.0, 0.4])
    wanted = mixed(first, last, gamma)
    middle = torch.stack([flat[0], 0.6 * flat[0] + 0.4 * flat[2]])
    made = repaired(space.module, middle, x, wanted)
    found = moments(space.module, layers, made, x)
    for layer in layers:
        for one, other in zip(found[layer], wanted[layer], strict=True):
            torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-3)
    assert torch.allclose(space.run(made[:1], x), space.run(flat[:1], x), atol=1e-2)
    assert not torch.allclose(made[1], middle[1], atol=1e-2)


def test_a_layer_without_a_bias_cannot_be_repaired():
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2))
    flat, x = flat_of(module)[None].detach(), torch.randn(6, 3)
    found = moments(module, ["0"], flat, x)
    with pytest.raises(RepairError, match="layer 0 has no bias"):
        repaired(module, flat, x, found)


# Walks


def test_pairs_share_no_network_and_are_good_or_mixed(zoo):
    test = zoo["test"]
    found = blends.pairs_of(test, 3, ("a",))
    networks = [i for one in found for i in one[:2]]
    assert len(set(networks)) == 6 and [ends for *_, ends in found] == ["good", "good", "mixed"]
    middle = test.scores.median()
    for i, j, ends in found:
        assert test.scores[j] >= middle and (test.scores[i] >= middle) == (ends == "good")
    assert found == blends.pairs_of(test, 3, ("a",)) != blends.pairs_of(test, 3, ("b",))
    assert len(blends.pairs_of(test, 99, ("a",))) == 3  # five good networks


def test_one_network_makes_no_walk(zoo):
    with pytest.raises(blends.BlendError, match="needs two networks"):
        blends.pairs_of(sampling.part(zoo["test"], np.array([0])), 3, ("a",))


@pytest.fixture(scope="module")
def walks(toy, zoo) -> pd.DataFrame:
    return blends.interpolate(toy.embedder, 4, ("w",), CFG, zoo["test"], toy.images, toy.test)


def test_walks_begin_and_end_at_the_networks_or_their_reconstructions(toy, zoo, walks):
    assert tuple(walks.columns) == blends.COLUMNS and len(walks) == 3 * 4 * 5
    assert set(walks["seed"]) == {4}
    test, arm = zoo["test"], toy.embedder.arm
    own = dict(zip(test.names, ensemble.accuracy(test.outputs(toy.test), toy.test.y), strict=True))
    with torch.no_grad():
        outputs = test.space.predict(arm.decode(NAME, arm.encode(NAME, test.flat)), toy.test.x)
    decoded = dict(zip(test.names, ensemble.accuracy(outputs, toy.test.y), strict=True))
    for (pair, method), walk in walks.groupby(["pair", "method"]):
        assert walk["gamma"].tolist() == [0, 0.25, 0.5, 0.75, 1]
        by = decoded if method == "latent" else own
        ends = [by[name].item() for name in pair.split(":")]
        # Aligned, and repaired by nothing, networks are what they were up to rounding.
        assert [walk["accuracy"].iloc[k] for k in (0, -1)] == pytest.approx(ends, abs=0.02)


def test_a_walk_to_a_network_in_another_order_is_flat_once_aligned(toy, zoo):
    space, good = zoo["test"].space, zoo["test"].flat[:1]
    other = good.clone()
    for group in Neurons.of(space.module).groups:
        for view in group.views(other[0].numpy()):
            view[:] = view[::-1].copy()
    frame = pd.DataFrame({"network": ["a", "b"], "validation_accuracy": [0.9, 0.9]})
    pair = Population(space, frame, torch.cat([good, other]))
    found = blends.interpolate(toy.embedder, 0, ("w",), CFG, pair, toy.images, toy.test)
    lost = performance.barriers(found).set_index("method")["barrier"]
    assert lost["aligned"] == pytest.approx(0, abs=0.02)
    assert lost["aligned_reset"] == pytest.approx(0, abs=0.02)
    assert lost["latent"] == pytest.approx(0, abs=0.02)  # both answer alike, so both lie there
    assert lost["weights"] > 0.3


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
        return performance.barriers(frame.sample(frac=1, random_state=0))["barrier"].item()

    assert walk([1.0, 0.2, 0.5]) == pytest.approx(0.55)
    assert walk([1.0, 0.3, 0.1, 0.8]) == pytest.approx(0.7)  # the two around the middle


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.b(torch.softmax(self.a(x.flatten(1)), 1))


def test_an_architecture_that_cannot_be_aligned_is_refused(toy, zoo):
    module = Blind()
    space = Space("Blind", module, Layout.of(module))
    flat = flat_of(module).detach().expand(2, -1)
    population = Population(space, zoo["test"].frame.iloc[:2], flat)
    with pytest.raises(blends.BlendError, match="Blind cannot be put in another order"):
        blends.interpolate(toy.embedder, 0, ("w",), CFG, population, toy.images, toy.test)


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


# Properties


def test_statistics_of_each_weight_and_bias(zoo):
    population = zoo["train"]
    found = properties.weight_statistics(population)
    entries = population.space.layout.entries
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
    outputs = zoo["train"].space.predict(one.flat, toy.test.x)
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


# The map


def test_the_map_lays_networks_out_by_their_answers(toy, zoo):
    arm = copy.copy(toy.embedder.arm)
    arm.spaces = {NAME: arm.spaces[NAME]}
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
    outputs = test.space.predict(moved, toy.test.x)
    once = found[(found["method"] == "weights") & (found["scale"] == 1)]
    assert once["accuracy"].tolist() == ensemble.accuracy(outputs, toy.test.y).tolist()


def test_the_scale_is_chosen_by_the_mean_of_a_band():
    kept = {0.0: np.array([0.5, 0.9]), 1.0: np.array([0.7, 0.2]), 2.0: np.array([0.7, 0.9])}
    assert arithmetic._best(kept, np.array([0, 2])) == {0: 1.0, 2: 0.0}

"""Novelty and retrieval: known copies, known strangers, neurons in another order, chance."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import nets
from lib.engine import ensemble
from lib.evaluate import novelty, retrieval
from lib.evaluate.novelty import COLUMNS, Training, decoded_rows, noise_level, zoo_rows
from lib.evaluate.retrieval import Retrieval, bands
from lib.evaluate.statistics import bootstrap_interval
from lib.nets.alignment import Neurons
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout
from lib.report.novelty_summary import judge, sentence, verdict
from lib.report.retrieval import sentence as retrieval_sentence
from lib.zoo.population import Population
from toy import CFG, NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Neurons in another order


def shuffled(module: nn.Module, order_of) -> nn.Module:
    """A LeNetLike or VanillaCNN with its neurons in another order, by hand."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for layer, following in itertools.pairwise(layers):
            order = order_of(layer.weight.shape[0])
            layer.weight.copy_(layer.weight[order])
            layer.bias.copy_(layer.bias[order])
            weight = following.weight
            parts = weight.reshape(len(weight), len(order), -1)[:, order]
            weight.copy_(parts.reshape(weight.shape))
    return module


def flat_of(module: nn.Module) -> torch.Tensor:
    return Layout.of(module).flatten(module.state_dict())


@pytest.mark.parametrize("name", ["LeNetLike", "VanillaCNN"])
def test_neurons_in_another_order_are_put_back(name):
    torch.manual_seed(3)
    module = nets.build(name, 1, 8, 4)
    before, x = flat_of(module), torch.randn(5, 1, 8, 8, generator=rng())
    outputs, orders = module(x), rng(5)
    other = shuffled(module, lambda count: torch.randperm(count, generator=orders))
    after = flat_of(other)
    assert not torch.equal(after, before) and torch.allclose(other(x), outputs, atol=1e-5)
    neurons = Neurons.of(module)
    near = after + 0.01 * before.std() * torch.randn(before.shape, generator=rng(6))
    back = neurons.align(torch.stack([after, near, before]), before)
    assert torch.equal(back[0], before) and torch.equal(back[2], before)
    assert (back[1] - before).norm() < 0.1 * (near - before).norm()


def test_alignment_changes_no_output_and_never_the_network_given():
    torch.manual_seed(4)
    module = nets.build("VanillaCNN", 1, 8, 4)
    own, to = flat_of(module), flat_of(nets.build("VanillaCNN", 1, 8, 4))
    kept, layout = own.clone(), Layout.of(module)
    aligned = Neurons.of(module).align(own[None], to)[0]
    assert torch.equal(own, kept) and (aligned - to).norm() < (own - to).norm()
    x = torch.randn(5, 1, 8, 8, generator=rng())
    wanted = module(x)
    module.load_state_dict(layout.unflatten(aligned))
    assert not torch.equal(aligned, own) and torch.allclose(module(x), wanted, atol=1e-5)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return self.a(self.a(x))


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        y = self.a(x)
        return self.b(y) + y


def test_neurons_around_a_shortcut_share_their_order():
    neurons = Neurons.of(fused_skeleton(nets.build("ResNet8", 1, 8, 4)))
    layers = [group.layers for group in neurons.groups]
    assert layers == [
        ("conv", "blocks.0.conv2"),
        ("blocks.0.conv1",),
        ("blocks.1.conv1",),
        ("blocks.1.conv2", "blocks.1.shortcut.0"),
        ("blocks.2.conv1",),
        ("blocks.2.conv2", "blocks.2.shortcut.0"),
    ]
    assert [group.size for group in neurons.groups] == [8, 8, 16, 16, 32, 32]
    assert not neurons.chain and Neurons.of(nets.build("VanillaCNN", 1, 8, 4)).chain


@pytest.mark.parametrize("name", ["ResNet8", "ResNet14"])
def test_a_residual_network_in_another_order_is_put_back(name):
    torch.manual_seed(3)
    module = fused_skeleton(nets.build(name, 1, 8, 4)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) / parameter[0].numel() ** 0.5)
    before, layout = flat_of(module), Layout.of(module)
    x = torch.randn(5, 1, 8, 8, generator=rng())
    outputs, other = module(x), before.clone()
    for group in Neurons.of(module).groups:
        order = torch.randperm(group.size, generator=rng(group.size))
        for view in group.views(other.numpy()):
            view[:] = view[order.numpy()]
    module.load_state_dict(layout.unflatten(other))
    assert not torch.equal(other, before) and torch.allclose(module(x), outputs, atol=1e-4)
    back = Neurons.of(module).align(other[None], before)[0]
    assert torch.equal(back, before)


def test_neurons_that_reach_an_output_unmixed_keep_their_order():
    neurons = Neurons.of(Split())
    assert neurons.groups == ()  # what `a` makes is added to what comes out


class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    "module",
    [
        Twice(),
        Asks(),
        nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 4)),
        nn.Sequential(nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 4, 1, groups=4)),
    ],
    ids=["weights used twice", "no graph", "softmax", "groups"],
)
def test_neurons_of_which_the_order_is_not_known_are_not_aligned(module):
    assert Neurons.of(module) is None


# Distances


@pytest.fixture(scope="module")
def trained(toy, one_thread):
    return {name: Training.of(found, toy.test) for name, found in toy.zoo["train"].items()}


def test_the_distance_is_the_root_mean_square_over_layers_in_units_of_their_spread(toy, trained):
    population = toy.zoo["train"]["LeNetLike"]
    one, other = population.flat[0], toy.zoo["test"]["LeNetLike"].flat[0]
    parts = []
    for entry in population.family.layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        spread = population.flat[:, place].numpy().std()
        parts.append((((one - other)[place].numpy() / spread) ** 2).mean())
    found = trained["LeNetLike"].distances(other[None])[0, 0].item()
    assert found == pytest.approx(math.sqrt(np.mean(parts)), rel=1e-4)


def test_strangers_are_at_the_root_of_two_and_copies_at_zero(toy):
    family = toy.zoo["train"]["LeNetLike"].family
    flat = torch.randn(20, family.layout.size, generator=rng())
    frame = pd.DataFrame({"network": [str(i) for i in range(20)], "validation_accuracy": 0.5})
    training = Training.of(Population(family, frame, flat), toy.test)
    distances = training.distances(flat)
    assert not distances.diagonal().any()
    assert distances[~torch.eye(20, dtype=torch.bool)].mean() == pytest.approx(2**0.5, abs=0.05)


def test_errors_in_common():
    wrong = torch.tensor([True, True, False, False])
    others = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    assert novelty._overlap(wrong, others).tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert novelty._overlap(others[3], others[3:]).tolist() == [1]


def as_table(rows: list[tuple]) -> pd.DataFrame:
    return novelty.table([(*row, "none", 0) for row in rows])


def test_a_training_network_is_its_own_copy_unless_it_is_left_out(toy, trained):
    for name, training in trained.items():
        population = training.population
        copies = as_table(training.rows("x", population.names, population.flat, toy.test))
        assert copies["nearest_weights"].tolist() == population.names
        assert copies["nearest_outputs"].tolist() == population.names
        assert not copies["weight_distance"].any()
        assert (copies[["agreement", "error_overlap"]] == 1).all(axis=None)
        arguments = ("x", population.names, population.flat, toy.test, True)
        others = as_table(training.rows(*arguments))
        assert (others["nearest_weights"] != population.names).all()
        assert (others["nearest_outputs"] != population.names).all()
        assert (others["weight_distance"] > 0.3).all()
        chain = name != "ResNet8"
        assert others["aligned_distance"].notna().all() == chain
        if chain:
            assert (others["aligned_distance"] <= others["weight_distance"] + 1e-6).all()
        wanted = ensemble.accuracy(population.outputs(toy.test), toy.test.y).tolist()
        assert others["accuracy"].tolist() == pytest.approx(wanted)


@pytest.fixture(scope="module")
def found(toy, trained):
    arguments = (("toy",), trained, toy.zoo["test"], toy.test, toy.validation)
    rows = decoded_rows(toy.embedder, 3, *arguments)
    return novelty.table(zoo_rows(trained, toy.zoo["test"], toy.test, 0) + rows)


def test_the_table_of_novelty_has_each_network_of_each_kind(found):
    assert tuple(found.columns) == COLUMNS
    pairs = {f"LeNetLike-000{i}:ResNet8-000{i}@0.5000" for i in range(2)}
    wanted = {
        "training": {f"{name}-{i:04d}" for name in NAMES for i in range(4, 7)},
        "held_out": {f"{name}-{i:04d}" for name in NAMES for i in range(2)},
        "midpoint": {f"{name}-0000:{name}-0001@0.5" for name in NAMES},
        "interpolated": pairs,
    }
    wanted |= {"decoded_training": wanted["training"], "decoded_test": wanted["held_out"]}
    for kind, names in wanted.items():
        assert set(found.loc[found["kind"] == kind, "network"]) == names, kind
    noise = found[found["kind"] == "noise"]
    assert len(noise) == 6 and set(noise["network"]) <= wanted["training"]
    assert noise["level"].notna().all() and found["level"].notna().sum() == 6
    zoo = found["kind"].isin(["training", "held_out"])
    assert set(found.loc[zoo, "embedder"]) == {"none"} and set(found.loc[zoo, "seed"]) == {0}
    assert set(found.loc[~zoo, "embedder"]) == {CFG.arm} and set(found.loc[~zoo, "seed"]) == {3}
    for column in ("nearest_weights", "nearest_outputs"):
        assert [name.split("-")[0] for name in found[column]] == found["architecture"].tolist()


def test_decoded_networks_are_those_of_their_latents(toy, found, trained):
    rows = found[found["kind"].isin(["decoded_test", "decoded_training"])]
    for row in rows.itertuples():
        module = toy.embedder.decode(toy.embedder.encode(row.network, toy.catalogue))
        assert module.architecture == row.architecture
        with torch.no_grad():
            outputs = module(toy.test.x)
        assert row.accuracy == pytest.approx(ensemble.accuracy(outputs, toy.test.y).item())
        known = trained[row.architecture].outputs
        assert row.agreement == pytest.approx(ensemble.agreement(known, outputs).max().item())


def test_noise_is_the_most_that_leaves_networks_as_accurate(toy):
    population = toy.zoo["train"]["ResNet8"]
    chosen, noise = torch.arange(3), torch.randn(population.flat.shape, generator=rng())

    def score(flat: torch.Tensor) -> float:
        outputs = population.family.predict(flat, toy.validation.x)
        return ensemble.accuracy(outputs, toy.validation.y).mean().item()

    def level(decoded: torch.Tensor) -> float:
        return noise_level(population, chosen, noise, decoded, toy.validation)

    def noisy(amount: float) -> torch.Tensor:
        return population.flat + amount * population.spread() * noise

    most = level(noisy(0.4))
    place = novelty.LEVELS.index(most)
    assert score(noisy(most)) >= score(noisy(0.4)) > score(noisy(novelty.LEVELS[place + 1]))
    # Of networks that are as good as those without noise: half a point less at most.
    assert level(population.flat) < most
    assert score(noisy(level(population.flat))) >= score(population.flat) - 0.005


# What the report says of it


def kinds(held_out: float, decoded: float, noise: float) -> pd.DataFrame:
    """A table in which agreement is about so much, and distance one less that."""
    random, rows = np.random.default_rng(0), []
    for kind, level in (("held_out", held_out), ("decoded_test", decoded), ("noise", noise)):
        for name in NAMES:
            for i in range(8):
                agreement = level + random.normal(0, 0.002)
                rows.append(
                    {
                        "network": f"{name}-{i}",
                        "architecture": name,
                        "kind": kind,
                        "agreement": agreement,
                        "error_overlap": agreement,
                        "weight_distance": 1 - agreement,
                        "aligned_distance": math.nan,
                        "nearest_weights": f"{name}-9",
                        "seed": 0,
                        "place": i,
                    }
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("levels", "state", "words"),
    [
        ((0.9, 0.9, 0.99), "new", "are new: no nearer"),
        ((0.9, 0.8, 0.99), "new", "are new: no nearer"),
        ((0.9, 0.95, 0.99), "between", "are neither new nor copies"),
        ((0.9, 0.99, 0.99), "copy", "are copies: as near"),
        ((0.9, 1.0, 0.95), "copy", "are copies: as near"),
    ],
)
def test_new_or_copied_is_said_from_the_numbers(levels, state, words):
    frame = kinds(*levels)
    assert judge(frame, "agreement", 1).state == state
    assert judge(frame, "weight_distance", -1).state == state
    text = sentence(frame)
    assert text.count(words) == 2
    assert verdict(frame).answer.count(words.split(":")[0].removeprefix("are ")) == 2
    assert "one and the same training network for all of an architecture" in text


def test_too_few_networks_say_nothing():
    frame = kinds(0.9, 0.95, 0.99)
    one = frame[(frame["place"] == 0) & (frame["architecture"] == "ResNet8")]
    assert judge(one, "agreement", 1).state == "open" and "too few to say" in sentence(one)


# Retrieval


def test_bands_are_thirds_of_the_training_networks():
    known = np.arange(9) / 10
    assert bands(known, known).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert bands(known, np.array([-1.0, 0.4, 5.0])).tolist() == [0, 1, 2]


@pytest.fixture(scope="module")
def task(toy, one_thread):
    return Retrieval(toy.zoo["train"], toy.zoo["test"], toy.test)


def test_the_table_of_retrieval_has_each_query_and_method(toy, task, monkeypatch):
    monkeypatch.setattr(retrieval, "K", 2)
    table = retrieval.table(task.control_rows(0) + task.latent_rows(toy.embedder, 3))
    assert tuple(table.columns) == retrieval.COLUMNS
    assert not table.duplicated(["network", "method"]).any() and len(table) == 6 * 3
    assert set(table["method"]) == {"weights", "outputs", "latent"}
    assert (table["neighbours"] == 2).all() and (table["chance_architecture"] == 1 / 3).all()
    shares = table.filter(regex="precision|chance|agreement")
    assert shares.shape[1] == 8 and shares.stack().between(0, 1).all()
    assert set(table.loc[table["method"] == "latent", "seed"]) == {3}
    flat = {name: found.flat for name, found in toy.zoo["train"].items()}
    width = max(one.shape[1] for one in flat.values())
    padded = torch.cat([nn.functional.pad(f, (0, width - f.shape[1])) for f in flat.values()])
    for name in NAMES:
        query = nn.functional.pad(toy.zoo["test"][name].flat[0], (0, width - flat[name].shape[1]))
        nearest = (padded - query).norm(dim=1).argsort()[:2]
        share = np.mean([NAMES[i // 3] == name for i in nearest.tolist()])
        row = table[(table["network"] == f"{name}-0000") & (table["method"] == "weights")]
        assert row["precision_architecture"].item() == share


def test_all_networks_as_neighbours_are_chance(task, monkeypatch):
    monkeypatch.setattr(retrieval, "K", 99)
    table = retrieval.table(task.control_rows(0))
    for kind in retrieval.KINDS:
        assert table[f"precision_{kind}"].tolist() == pytest.approx(table[f"chance_{kind}"])
    wanted = table["chance_agreement_within"].tolist()
    assert table["agreement_within"].tolist() == pytest.approx(wanted)


def test_neighbours_by_answers_answer_alike(task, monkeypatch):
    monkeypatch.setattr(retrieval, "K", 1)
    table = retrieval.table(task.control_rows(0))
    by = {method: part["agreement_within"].to_numpy() for method, part in table.groupby("method")}
    assert (by["outputs"] >= by["weights"]).all()
    assert (by["outputs"] >= table["chance_agreement_within"].iloc[:6].to_numpy()).all()


def test_the_report_says_what_is_better_than_chance(task):
    table = retrieval.table(task.control_rows(0))
    latent = table[table["method"] == "weights"].assign(method="latent")
    for precision, words in ((1.0, "better than chance"), (0.0, "worse than chance")):
        changed = latent.assign(precision_architecture=precision)
        text = retrieval_sentence(pd.concat([changed, table]))
        assert f"latents {words}, 33.3" in text


# Bootstrap


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

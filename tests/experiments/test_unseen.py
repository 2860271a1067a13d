"""Architectures never seen: what may be known of them, what is generated, and the controls."""

from __future__ import annotations

import copy
from dataclasses import replace

import pandas as pd
import pytest
import torch

import left_out
from left_out import ENDS, LEFT, LeftOut
from lib.config.experiments import Unseen
from lib.engine import ensemble
from lib.engine.family import Family
from lib.experiments import unseen
from lib.experiments.columns import CLASSIFIERS
from tasks import task

CFG = Unseen(fresh=2, distilled=2)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(toy, one_thread) -> LeftOut:
    return left_out.trained(toy)


def test_the_decoder_starts_from_fresh_networks_and_takes_their_scale(trained):
    start, fresh = trained.start, trained.fresh
    family = Family.of(LEFT, 1, 8, 4)
    scale = start[f"scale.{LEFT}"]
    for entry in family.layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        assert scale[place].unique().numel() == 1
        assert scale[place][0].item() == pytest.approx(fresh[:, place].std().item(), rel=1e-5)
    torch.testing.assert_close(start[f"base.{LEFT}"] * scale, fresh[0])


def made(toy, embedder, seed: int = 0, method: str = "generated") -> pd.DataFrame:
    return pd.DataFrame(unseen.generated(task(toy, "unseen"), embedder, seed, (LEFT,), method))


def test_what_was_never_seen_is_generated_and_works(trained, toy):
    table = made(toy, trained.embedder, 3)
    found = table[table["method"] == "generated"]
    assert list(found["pair"]) == [
        f"LeNetLike-{i:04d}:ResNet8-{j:04d}" for i in (0, 1) for j in (0, 1)
    ]
    assert (found["gamma"] == 0.5).all() and set(table["seed"]) == {3}
    assert set(table["left_out"]) == set(table["architecture"]) == {LEFT}
    assert (found["predicted_architecture"] == LEFT).all() and (found["accuracy"] > 0.6).all()
    constant = table[table["method"] == "constant"]
    assert list(constant["pair"]) == ["mean"] and list(constant["agreement_other"]) == [1.0]


def test_the_space_that_saw_all_is_asked_at_the_same_points(trained, toy):
    table = made(toy, toy.embedder, method="all_four")
    other = made(toy, trained.embedder)
    keys = ["pair", "gamma", "architecture"]
    wanted = other.loc[other["method"] == "generated", keys]
    pd.testing.assert_frame_equal(table[keys], wanted)
    assert set(table["method"]) == {"all_four"}


def test_a_latent_decodes_as_what_is_predicted_for_it(toy):
    """Accuracy and prediction are those of the network that a user would be handed."""
    table = made(toy, toy.embedder)
    ends = [toy.zoo["test"][name] for name in ENDS]
    first, last = (toy.embedder.arm.encode(one.family.architecture, one.flat) for one in ends)
    for row, (i, j) in zip(table.itertuples(), [(0, 0), (0, 1), (1, 0), (1, 1)], strict=False):
        network = toy.embedder.decode(0.5 * first[i] + 0.5 * last[j])
        assert row.predicted_architecture == network.architecture
        accuracy = ensemble.accuracy(network(toy.test.x), toy.test.y).item()
        assert row.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize(
    "answers, wanted",
    [
        ([[0, 1, 2], [0, 1, 2], [0, 1, 0]], [5 / 6, 5 / 6, 4 / 6]),
        ([[0, 1], [1, 0]], [0, 0]),
        ([[3, 1]], [1]),
    ],
)
def test_agreement_among_networks(answers, wanted):
    assert unseen.agreement_among(torch.tensor(answers)).tolist() == pytest.approx(wanted)


def longer(toy, steps: int):
    """The toy's embedder as if it had been trained for so many steps."""
    embedder, arm = copy.copy(toy.embedder), copy.copy(toy.embedder.arm)
    arm.cfg = arm.cfg.model_copy(update={"steps": steps})
    embedder.arm = arm
    return embedder


def test_controls_are_networks_of_the_architecture_that_know_no_trained_one(trained, toy):
    given = task(toy, "unseen", teacher=toy.teacher)
    given = replace(given, embedders={5: longer(toy, 150)}, unseen={(LEFT,): {3: trained.embedder}})
    whole = unseen.run(given, CFG)
    assert tuple(whole.columns) == CLASSIFIERS["unseen"]
    counts = whole.groupby(["method", "seed"], sort=False).size().to_dict()
    table = whole[-6:].reset_index(drop=True)
    assert counts == {
        ("generated", 3): 4,
        ("constant", 3): 1,
        ("all_four", 5): 4,
        ("trained", 0): 2,
        ("initialised", 0): 2,
        ("distilled", 0): 2,
    }
    assert list(table["method"]) == ["trained"] * 2 + ["initialised"] * 2 + ["distilled"] * 2
    assert table["gamma"].isna().all() and (table["predicted_architecture"] == LEFT).all()
    means = table.groupby("method")["accuracy"].mean()
    assert means["initialised"] < 0.5 < means["distilled"]
    trained_ones = toy.zoo["test"][LEFT]
    wanted = ensemble.accuracy(trained_ones.outputs(toy.test), toy.test.y).tolist()
    assert list(table["pair"][:2]) == trained_ones.names
    assert table["accuracy"][:2].tolist() == pytest.approx(wanted)

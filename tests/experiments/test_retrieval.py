"""Retrieval: what a network's neighbours have in common with it, and chance beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib.config.experiments import Retrieval
from lib.experiments import retrieval
from lib.experiments.columns import CLASSIFIERS
from tasks import task
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def given(toy, one_thread):
    return task(toy, "retrieval")


def controls(given) -> pd.DataFrame:
    table = retrieval.run(given, Retrieval())
    return table[table["method"] != "latent"]


def test_the_table_of_retrieval_has_each_query_and_method(toy, given, monkeypatch):
    monkeypatch.setattr(retrieval, "K", 2)
    table = retrieval.run(given, Retrieval())
    assert tuple(table.columns) == CLASSIFIERS["retrieval"]
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


def test_all_networks_as_neighbours_are_chance(given, monkeypatch):
    monkeypatch.setattr(retrieval, "K", 99)
    table = controls(given)
    for kind in retrieval.KINDS:
        assert table[f"precision_{kind}"].tolist() == pytest.approx(table[f"chance_{kind}"])
    wanted = table["chance_agreement_within"].tolist()
    assert table["agreement_within"].tolist() == pytest.approx(wanted)


def test_neighbours_by_answers_answer_alike(given, monkeypatch):
    monkeypatch.setattr(retrieval, "K", 1)
    table = controls(given)
    by = {method: part["agreement_within"].to_numpy() for method, part in table.groupby("method")}
    assert (by["outputs"] >= by["weights"]).all()
    assert (by["outputs"] >= table["chance_agreement_within"].iloc[:6].to_numpy()).all()

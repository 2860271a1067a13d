"""Variants of a space: networks of every split scored, and the tables that compare variants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import graded
from lib.config.embedding import Embedding
from lib.config.experiments import Reconstruction
from lib.core.streams import Stream
from lib.embed.objectives.classifiers import Classifiers
from lib.embed.product import Embedder, make_arm
from lib.engine import ensemble
from lib.experiments.variants import markdown, scores, summarise
from tasks import task
from toy import NAMES

CFG = Reconstruction(steps=2, batch=8)
KNOWN = {"decoded", "mean_latent"}
HELD_OUT = KNOWN | {"refined", "nearest_agreement", "readout"}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def found(toy, one_thread) -> pd.DataFrame:
    return scores(task(toy, "variants", seed=4), CFG, "mine")


# Several architectures


def test_networks_of_every_split_are_scored(toy, found):
    assert set(found["variant"]) == {"mine"} and set(found["trained_on"]) == {3}
    for split, zoo in toy.zoo.items():
        decoded = found[(found["split"] == split) & (found["method"] == "decoded")]
        assert set(decoded["seed"]) == {4}
        # Of training networks as many as there are test networks.
        wanted = [name for population in zoo.values() for name in population.names[:2]]
        assert decoded["network"].tolist() == wanted
        images = toy.test if split == "test" else toy.validation
        targets = [ensemble.accuracy(p.first(2).outputs(images), images.y) for p in zoo.values()]
        assert decoded["target_accuracy"].tolist() == pytest.approx(torch.cat(targets).tolist())
    methods = found.groupby("split")["method"].unique().map(set).to_dict()
    held_out = HELD_OUT | {"inner"}
    assert methods == {"train": KNOWN | {"inner"}, "validation": held_out, "test": held_out}


def test_inner_points_are_those_that_selection_sees(toy, found):
    inner = found[(found["split"] == "validation") & (found["method"] == "inner")]
    networks = {name: population.flat for name, population in toy.zoo["validation"].items()}
    selection = Classifiers(toy.embedder.arm, None, networks, toy.images, toy.validation)
    seen = selection.validate()["validation_interpolation"]
    right = inner["architecture"] == inner["predicted_architecture"]
    assert set(inner["architecture"]) == {"VanillaCNN"} and len(inner) == 2
    assert (inner["accuracy"] * right).mean() == pytest.approx(seen)


def test_a_wrong_architecture_is_run_as_predicted_and_counted(toy, monkeypatch):
    only = F.one_hot(torch.tensor(0), len(NAMES)).float()
    monkeypatch.setattr(toy.embedder.arm, "classify", lambda latent: only.expand(len(latent), -1))
    table = summarise(scores(task(toy, "variants"), CFG, "wrong"))
    own = table[table["method"].isin({"decoded", "refined", "inner"})]
    shares = own.set_index("architecture")["predicted_right"]
    assert shares[NAMES[0]].eq(1).all() and shares.drop(NAMES[0]).eq(0).all()


def test_the_table_averages_seeds_and_takes_networks_as_the_unit(found):
    again = found.assign(seed=5, agreement=found["agreement"] + 0.1)
    table = summarise(pd.concat([found, again], ignore_index=True))
    one = table[(table["split"] == "test") & (table["method"] == "decoded")].iloc[0]
    own = found[(found["split"] == "test") & (found["method"] == "decoded")]
    own = own[own["architecture"] == one["architecture"]]
    assert (one["networks"], one["seeds"]) == (len(own), 2)
    assert one["agreement"] == pytest.approx(own["agreement"].mean() + 0.05)
    difference = (own["agreement"] - own["agreement_other"]).mean() + 0.05
    assert one["own_above_other"] == pytest.approx(difference)
    assert one["own_low"] < one["own_above_other"] < one["own_high"]
    inner = table[table["method"] == "inner"]
    assert inner["agreement"].isna().all() and inner["accuracy"].between(0, 1).all()
    assert len(table) == 3 * (2 * 3 + 1) + 2 * (3 * 3)


def test_the_page_has_a_line_for_each_variant_in_order(found):
    worse = found.assign(variant="bad", agreement=found["agreement"] - 0.1)
    worse["predicted_architecture"] = NAMES[0]
    page = markdown(pd.concat([worse, found], ignore_index=True), {"mine": 7.4, "bad": 12.6})
    head, rule, *lines = (line.strip("| \n").split(" | ") for line in page.splitlines())
    assert {len(cells) for cells in (head, *lines)} == {len(head)} and set(rule) == {"---"}
    bad, mine = (dict(zip(head, cells, strict=True)) for cells in lines)
    assert (bad["variant"], mine["variant"]) == ("`bad`", "`mine`")
    assert (bad["CPU s"], mine["CPU s"]) == ("13", "7")
    decoded = found[(found["split"] == "test") & (found["method"] == "decoded")]
    others = (decoded["architecture"] != NAMES[0]).sum()
    assert bad["wrong architecture"] == f"{others} of {len(decoded)}"
    assert float(mine["agreement"]) == pytest.approx(100 * decoded["agreement"].mean(), abs=0.01)
    assert float(mine["agreement"]) - float(bad["agreement"]) == pytest.approx(10, abs=0.02)


# One architecture


def test_variants_of_one_architecture_are_scored_with_look_up_beside_them(toy):
    cfg = Embedding(
        arm="readout", latent=140, probes=48, temperature=0.5, temperature_unit="spread"
    )
    torch.manual_seed(0)
    arm, known = make_arm(cfg, [graded.NAME], (1, 8, 8), 4), toy.zoo["train"][graded.NAME]
    given = {graded.NAME: known.flat}, {graded.NAME: known.scores}
    arm.prepare(*given, toy.images.x, Stream("prepare").torch())
    zoo = {split: {graded.NAME: found[graded.NAME]} for split, found in toy.zoo.items()}
    one = replace(task(toy, "variants", zoo), embedders={3: Embedder(arm, {})})
    found = scores(one, CFG, "mine", trained_on=2)
    methods = found.groupby("split")["method"].unique().map(set).to_dict()
    assert methods == {"train": KNOWN, "validation": HELD_OUT, "test": HELD_OUT}
    assert set(found.loc[found["split"] == "train", "network"]) == set(known.names[:2])
    table = summarise(found)
    assert len(table) == 2 + 5 + 5 and set(table["trained_on"]) == {2}
    assert set(table["latent_size"]) == {cfg.latent}
    page = markdown(found, {"mine": 7.4})
    assert "wrong" not in page and "inner" not in page and "| `mine` | 7 | 1 |" in page


# The summary

NETWORKS = 12
# Agreement by variant and split, of decoded and refined networks.
AGREEMENT = {
    "default": {"train": (0.88, 0.90), "validation": (0.85, 0.88), "test": (0.87, 0.91)},
    "few": {"train": (0.90, 0.91), "validation": (0.80, 0.84), "test": (0.81, 0.84)},
}
SIZES = {"default": (8, 64), "few": (4, 64)}


def rows_of(variant: str, seed: int) -> pd.DataFrame:
    target, parts = np.linspace(0.1, 0.9, NETWORKS), []
    for split, (decoded, refined) in AGREEMENT[variant].items():
        methods = {"decoded": decoded, "refined": refined}
        if split != "train":
            methods |= {"nearest_agreement": 0.7, "readout": 0.75}
        for method, agreement in methods.items():
            own = method in ("decoded", "refined")
            offset = 0.01 * (1 + seed) * np.where(np.arange(NETWORKS) % 2, 1, -1)
            part = {
                "network": [f"{split}-{k}" for k in range(NETWORKS)],
                "architecture": "ResNet8",
                "predicted_architecture": "ResNet8",
                "method": method,
                "target_accuracy": target,
                "accuracy": target + (offset if own else 5 * offset),
                "agreement": agreement + 0.02 * seed * own,
                "agreement_other": 0.5,
                "embedder": "readout" if own else "none",
                "seed": seed if own else 0,
                "compression": 19.0,
                "split": split,
            }
            parts.append(pd.DataFrame(part))
    trained_on, latent = SIZES[variant]
    return pd.concat(parts).assign(variant=variant, trained_on=trained_on, latent_size=latent)


def test_seeds_are_averaged_and_their_spread_is_told():
    parts = [rows_of("default", 0), rows_of("default", 1), rows_of("few", 0)]
    table = summarise(pd.concat(parts, ignore_index=True))
    row = table.set_index(["variant", "split", "method"]).loc[("default", "test", "decoded")]
    assert row["seeds"] == 2 and row["agreement"] == pytest.approx(0.88)
    assert row["agreement_spread"] == pytest.approx(np.std([0.87, 0.89], ddof=1))
    assert row["agreement_low"] == pytest.approx(row["agreement_high"]) == pytest.approx(0.88)
    assert row["error"] == pytest.approx(0.015) and row["error_spread"] > 0.005
    other = table[table["variant"] == "few"]
    assert other["agreement_spread"].isna().all()

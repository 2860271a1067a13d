"""Variants of the embedder: what a config may change, and the table that compares them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lib.config import ConfigError
from lib.embed.multiarch import validate
from lib.engine import ensemble
from lib.evaluate.ablation import markdown, scores, summary
from lib.study import load_study, parse_study
from toy import NAMES

CONFIG = Path(__file__).parents[2] / "config"

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_variant_changes_what_it_names_and_nothing_else():
    study = parse_study(
        {
            "embedder": {"steps": 7, "weights": {"own": 3}},
            "ablations": {"same": {}, "mine": {"rank": 5, "weights": {"label": 0}}},
        }
    )
    assert study.variant("same") == study.embedder
    weights = study.embedder.weights.model_copy(update={"label": 0})
    wanted = study.embedder.model_copy(update={"rank": 5, "weights": weights})
    assert study.variant("mine") == wanted and wanted.weights.own == 3


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"latnt": 3}, "ablations.odd: latnt: no such key; did you mean latent?"),
        ({"rank": 0}, "ablations.odd: rank: must be greater"),
        ({"weights": {"own": -1}}, "ablations.odd: weights.own: must be"),
        ({"arm": "strong"}, "ablations.odd: unknown embedder arm 'strong'"),
        ({"arm": "paper"}, "ablations.odd: embedder.latent is 128"),
    ],
)
def test_a_variant_that_cannot_be_trained_is_refused_before_any_work(variant, message):
    with pytest.raises(ConfigError, match=message):
        parse_study({"ablations": {"fine": {}, "odd": variant}})


def test_the_shipped_variants_are_on_the_default_zoo_and_hold_the_paper():
    study, paper = (load_study(CONFIG / f"{name}.yaml") for name in ("ablations", "paper"))
    default = parse_study({})
    assert study.zoo == default.zoo and study.results == default.results
    own = {"seeds", "steps", "select_every"}
    full = study.variant("paper_full_latent")
    assert full.model_dump(exclude=own) == paper.embedder.model_dump(exclude=own)
    small = {"latent": 1024, "seeds": (0, 1, 2)}
    assert study.variant("paper") == full.model_copy(update=small)
    assert study.variant("default") == study.embedder.model_copy(update={"seeds": (0, 1, 2)})


@pytest.fixture(scope="module")
def found(toy) -> pd.DataFrame:
    return scores(toy.embedder, "mine", 4, toy.zoo, toy.validation, toy.test, 5)


def test_networks_of_every_split_are_scored(toy, found):
    assert set(found["variant"]) == {"mine"} and set(found["seed"]) == {4}
    for split, zoo in toy.zoo.items():
        decoded = found[(found["split"] == split) & (found["method"] == "decoded")]
        wanted = [name for population in zoo.values() for name in population.names]
        assert decoded["network"].tolist() == wanted
        images = toy.test if split == "test" else toy.validation
        targets = [ensemble.accuracy(p.outputs(images), images.y) for p in zoo.values()]
        assert decoded["target_accuracy"].tolist() == pytest.approx(torch.cat(targets).tolist())


def test_inner_points_are_those_that_selection_sees(toy, found):
    inner = found[(found["split"] == "validation") & (found["method"] == "inner")]
    networks = {name: population.flat for name, population in toy.zoo["validation"].items()}
    seen = validate(toy.embedder.arm, networks, toy.validation)["validation_interpolation"]
    right = inner["architecture"] == inner["predicted_architecture"]
    assert set(inner["architecture"]) == {"VanillaCNN"} and len(inner) == 2
    assert (inner["accuracy"] * right).mean() == pytest.approx(seen)


def test_a_wrong_architecture_is_run_as_predicted_and_counted(toy, monkeypatch):
    only = F.one_hot(torch.tensor(0), len(NAMES)).float()
    monkeypatch.setattr(toy.embedder.arm, "classify", lambda latent: only.expand(len(latent), -1))
    table = summary(scores(toy.embedder, "wrong", 0, toy.zoo, toy.validation, toy.test, 5))
    shares = table[table["method"] != "mean_latent"].set_index("architecture")["predicted_right"]
    assert shares[NAMES[0]].eq(1).all() and shares.drop(NAMES[0]).eq(0).all()


def test_the_table_averages_seeds_and_takes_networks_as_the_unit(found):
    again = found.assign(seed=5, agreement=found["agreement"] + 0.1)
    table = summary(pd.concat([found, again], ignore_index=True))
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
    assert len(table) == 3 * (3 + 3 + 1)


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

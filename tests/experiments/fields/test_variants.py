"""Variants of a space of fields: their scores and the table of them."""

import pytest

from lib.experiments.fields.reconstruction import stand_ins
from lib.experiments.fields.variants import scores, summary
from toy_shapes import CFG

pytestmark = pytest.mark.usefixtures("one_thread")


def test_variants_are_scored_against_their_controls(boxes):
    embedder, train, test, at = boxes
    zoo = {"train": train, "test": test}
    scored = scores(embedder, CFG, zoo, at, variant="ours", seed=3)
    methods = scored.groupby("split")["method"].unique().map(set).to_dict()
    every = set(stand_ins(embedder, train, test))
    assert methods == {"train": every - {"nearest"}, "test": every}
    held = scored[scored["split"] == "test"]
    means = held.groupby("method")["iou"].mean()
    assert means["siren"] > means["decoded"] > means["mean"]
    row = summary(scored).set_index("split").loc["test"]
    share = held.pivot(index="shape", columns="method", values="iou")
    assert row["share"] == pytest.approx((share["decoded"] / share["siren"]).mean(), abs=1e-6)
    assert row["share_low"] < row["share"] < row["share_high"]
    assert (row["trained_on"], row["warp"]) == (len(train.flat), CFG.warp)

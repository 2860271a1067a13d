"""Variants of a space of fields: what their page says of their table."""

from __future__ import annotations

import pandas as pd
import pytest

from lib.config.spaces import FieldSpace
from lib.experiments.fields.variants import summary
from lib.report import variants
from lib.report.sections.fields.variants import charts, comparison


def rows_of(variant: str, trained_on: int, warp: float, kept: dict[str, float]) -> pd.DataFrame:
    parts = []
    for split, share in kept.items():
        for method, iou in {"siren": 0.8, "decoded": 0.8 * share, "nearest": 0.4}.items():
            part = {"shape": [f"{split}-{k}" for k in range(5)], "method": method, "iou": iou}
            parts.append(pd.DataFrame(part).assign(split=split))
    found = pd.concat(parts).assign(variant=variant, seed=0, trained_on=trained_on, warp=warp)
    return found[(found["split"] != "train") | (found["method"] != "nearest")]


@pytest.fixture(scope="module")
def shapes() -> tuple[pd.DataFrame, dict]:
    base = {"train": 0.95, "validation": 0.9, "test": 0.88}
    found = [
        rows_of("all", 400, 0.3, base),
        rows_of("some", 50, 0.3, base | {"validation": 0.8, "test": 0.9}),
        rows_of("plain", 50, 0.0, base | {"validation": 0.7, "test": 0.7}),
        rows_of("other", 400, 0.3, base | {"validation": 0.2, "test": 0.2}),
    ]
    some = {
        "all": {},
        "some": {"trained_on": 50},
        "plain": {"trained_on": 50, "warp": 0.0},
        "other": {"truncation": 10.0},
    }
    space = FieldSpace(zoo="chairs", variants=some)
    changes = variants.changed(space, {name: space.variant(name) for name in some})
    return summary(pd.concat(found, ignore_index=True)), changes


def test_the_share_is_that_of_the_own_fields(shapes):
    row = shapes[0].set_index(["variant", "split"]).loc[("some", "test")]
    assert row["share"] == pytest.approx(0.9) and row["decoded"] == pytest.approx(0.72)
    assert row["nearest_share"] == pytest.approx(0.5) and (row["shapes"], row["seeds"]) == (5, 1)


def test_shapes_are_drawn_warp_by_warp(shapes):
    (chart,) = charts(*shapes)
    found = {curve.look.label: curve.values for curve in chart.curves}
    assert found["Held out, warps of 0.3"] == pytest.approx({50: 0.9, 400: 0.88})
    assert found["Held out, no warps"] == pytest.approx({50: 0.7})
    assert found["Nearest training shape"] == pytest.approx({50: 0.5, 400: 0.5})


def test_validation_shapes_choose_and_test_shapes_are_told(shapes):
    shown = comparison(*shapes, dict.fromkeys(shapes[1], 1.0))
    assert "“all”" in shown.headline and "88.0\u00a0%" in shown.headline
    assert [verdict.state for verdict in shown.verdicts] == ["reached"]
    assert shown.table.markdown.count("\n") == 2 + 4
    assert shown.table.strong == [True, False, False, False]
    assert "more shapes could add" in shown.said[-1]

"""Variants of the spaces: their tables, curves, and the pages that compare them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from lib.core.benchmarks import cpu_seconds
from lib.evaluate.variants import of_networks, of_shapes
from lib.report import charts, shape_variants, single_variants, variants
from lib.report.style import Look
from lib.study import parse_study
from report_fixture import RUN

NETWORKS = 12
# Agreement by variant and split, of decoded and refined networks: `wide` is best on validation
# networks and not on test networks, so that which of them chooses can be told.
AGREEMENT = {
    "default": {"train": (0.88, 0.90), "validation": (0.85, 0.88), "test": (0.87, 0.91)},
    "few": {"train": (0.90, 0.91), "validation": (0.80, 0.84), "test": (0.81, 0.84)},
    "narrow": {"train": (0.82, 0.84), "validation": (0.79, 0.82), "test": (0.79, 0.82)},
    "wide": {"train": (0.89, 0.90), "validation": (0.87, 0.90), "test": (0.86, 0.89)},
}
SIZES = {"default": (8, 64), "few": (4, 64), "narrow": (8, 16), "wide": (8, 128)}
ABLATIONS = {
    "default": {"embedder": {"seeds": [0, 1]}},
    "few": {"trained_on": 4, "embedder": {"networks": 4}},
    "narrow": {"embedder": {"latent": 16}},
    "wide": {"embedder": {"latent": 128}},
}
SECONDS = dict.fromkeys(AGREEMENT, 42.0)


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


@pytest.fixture(scope="module")
def networks() -> pd.DataFrame:
    seeds = {"default": (0, 1)}
    parts = [rows_of(name, seed) for name in AGREEMENT for seed in seeds.get(name, (0,))]
    return of_networks(pd.concat(parts, ignore_index=True))


@pytest.fixture(scope="module")
def changes() -> dict:
    single = parse_study({"singlearch": {"ablations": ABLATIONS}}).singlearch
    return variants.changed(single, {name: single.variant(name) for name in single.ablations})


DISTILLED = pd.DataFrame(
    {"method": "distilled", "agreement": [0.9], "target_accuracy": [0.5], "accuracy": [0.52]}
)


def test_seeds_are_averaged_and_their_spread_is_told(networks):
    row = networks.set_index(["variant", "split", "method"]).loc[("default", "test", "decoded")]
    assert row["seeds"] == 2 and row["agreement"] == pytest.approx(0.88)
    assert row["agreement_spread"] == pytest.approx(np.std([0.87, 0.89], ddof=1))
    assert row["agreement_low"] == pytest.approx(row["agreement_high"]) == pytest.approx(0.88)
    assert row["error"] == pytest.approx(0.015) and row["error_spread"] > 0.005
    other = networks[networks["variant"] == "few"]
    assert other["agreement_spread"].isna().all()


def test_what_a_variant_changes_is_told_without_its_seeds(changes):
    assert changes["default"] == {}
    assert changes["few"] == {"trained_on": 4, "embedder.networks": 4}
    assert variants.in_words(changes["few"]) == "networks 4, trained_on 4"
    assert variants.in_words(changes["default"]) == "nothing"


def test_a_curve_goes_along_one_key_alone(changes):
    assert variants.along(changes, "trained_on") == ["default", "few"]
    assert variants.along(changes, "embedder.latent") == ["default", "narrow", "wide"]
    assert variants.along(changes, "embedder.latent", "trained_on") == list(changes)
    all_changed = {name: found | {"refine_steps": 9} for name, found in changes.items()}
    assert variants.along(all_changed, "trained_on") == ["default", "few"]
    all_changed["few"]["refine_steps"] = 8
    assert variants.along(all_changed, "trained_on") == ["default"]


def test_validation_networks_choose_and_test_networks_are_told(networks, changes):
    assert single_variants.chosen(networks, "decoded") == "wide"
    shown = single_variants.comparison(networks, DISTILLED, changes, SECONDS)
    assert "“wide”: error 1.0 points" in shown.headline
    assert "agreement 86.0\u00a0%" in shown.headline
    assert [verdict.state for verdict in shown.verdicts] == ["reached", "short", "reached"]
    marked = zip(shown.table.rows, shown.table.strong, strict=True)
    assert [row[0].text for row, strong in marked if strong] == ["wide"]


def test_curves_hold_the_numbers_of_the_table(networks, changes):
    found = {c.id: c for c in single_variants.charts(networks, DISTILLED, changes)}
    assert set(found) == {
        f"fig-{size}-{share}" for size in ("zoo", "latent") for share in ("error", "agreement")
    }
    latent = {curve.look.label: curve.values for curve in found["fig-latent-agreement"].curves}
    assert latent["Held out (test)"] == pytest.approx({16: 0.79, 64: 0.88, 128: 0.86})
    assert latent["Training networks"] == pytest.approx({16: 0.82, 64: 0.89, 128: 0.89})
    assert list(latent["Distilled"].values()) == pytest.approx([0.9])
    assert "Training networks, 4 to 8" in next(single_variants.limits(networks, changes))


def test_a_config_without_sizes_has_a_page_all_the_same(networks, changes, tmp_path):
    frame = networks[networks["variant"] == "wide"]
    shown = single_variants.comparison(frame, DISTILLED, {"wide": changes["wide"]}, SECONDS)
    assert not shown.charts
    assert "All variants" in variants.page(shown, changes, sources(tmp_path), RUN, tmp_path)


def sources(folder) -> dict:
    return {name: folder / f"singlearch/{name}.csv" for name in single_variants.COLUMNS}


def test_the_page_is_self_contained_and_links_its_data(networks, changes, tmp_path):
    shown = single_variants.comparison(networks, DISTILLED, changes, SECONDS)
    html = variants.page(shown, changes, sources(tmp_path), RUN, tmp_path)
    assert 'href="singlearch/ablations.csv"' in html
    assert not re.search(r"""(src|href)=["'](https?:)?//""", html.split("<main", 1)[1])
    assert html.count('class="plot"') == 4


# Shapes


def shape_rows(variant: str, trained_on: int, warp: float, kept: dict[str, float]) -> pd.DataFrame:
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
        shape_rows("all", 400, 0.3, base),
        shape_rows("some", 50, 0.3, base | {"validation": 0.8, "test": 0.9}),
        shape_rows("plain", 50, 0.0, base | {"validation": 0.7, "test": 0.7}),
        shape_rows("other", 400, 0.3, base | {"validation": 0.2, "test": 0.2}),
    ]
    some = {
        "all": {},
        "some": {"trained_on": 50},
        "plain": {"trained_on": 50, "warp": 0.0},
        "other": {"truncation": 10.0},
    }
    block = parse_study({"shapes": {"ablations": some}}).shapes
    changes = variants.changed(block, {name: block.variant(name) for name in some})
    return of_shapes(pd.concat(found, ignore_index=True)), changes


def test_the_share_is_that_of_the_own_fields(shapes):
    row = shapes[0].set_index(["variant", "split"]).loc[("some", "test")]
    assert row["share"] == pytest.approx(0.9) and row["decoded"] == pytest.approx(0.72)
    assert row["nearest_share"] == pytest.approx(0.5) and (row["shapes"], row["seeds"]) == (5, 1)


def test_shapes_are_drawn_warp_by_warp_and_validation_shapes_choose(shapes):
    (chart,) = shape_variants.charts(*shapes)
    found = {curve.look.label: curve.values for curve in chart.curves}
    assert found["Held out, warps of 0.3"] == pytest.approx({50: 0.9, 400: 0.88})
    assert found["Held out, no warps"] == pytest.approx({50: 0.7})
    assert found["Nearest training shape"] == pytest.approx({50: 0.5, 400: 0.5})
    shown = shape_variants.comparison(*shapes, dict.fromkeys(shapes[1], 1.0))
    assert "“all”" in shown.headline and "88.0\u00a0%" in shown.headline
    assert [verdict.state for verdict in shown.verdicts] == ["reached"]
    assert shown.table.markdown.count("\n") == 2 + 4


# Charts


def chart(logarithmic: bool = False, **values: dict) -> charts.Chart:
    curves = [charts.Curve(Look(name, ""), found) for name, found in values.items()]
    curves.append(charts.Curve(Look("all & <none>", ""), {0: 0.05}, level=True))
    return charts.Chart("c", "A title", "In words", "x", "y", curves, "", "source", logarithmic)


@pytest.mark.parametrize(
    ("logarithmic", "marks"),
    [(True, [0.02, 0.05, 0.1, 0.2]), (False, [0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14])],
)
def test_axes_end_at_round_shares_around_all_curves(logarithmic, marks):
    found = chart(logarithmic, one={1: 0.13, 10: 0.035})
    assert found.marks == pytest.approx(marks) and found.ticks == [1, 10]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_picture_is_xml_with_every_point_inside(logarithmic):
    found = chart(logarithmic, one={1: 0.13, 10: 0.04}, two={10: 0.2, 4: float("nan")})
    root = ElementTree.fromstring(charts.svg(found))
    width, height = (float(root.get(name)) for name in ("width", "height"))
    lines = [e for e in root if e.tag.endswith("polyline")]
    places = [tuple(map(float, p.split(","))) for e in lines for p in e.get("points").split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    words = [e.text for e in root if e.tag.endswith("text")]
    assert {"A title", "one", "two", "all & <none>"} <= set(words)


def test_a_higher_share_stands_higher_in_a_picture():
    root = ElementTree.fromstring(charts.svg(chart(one={1: 0.04, 10: 0.13})))
    line = next(
        e for e in root if len((e.get("points") or "").split()) == 2 and "5f6b7a" in e.get("stroke")
    )
    (x0, y0), (x1, y1) = (map(float, p.split(",")) for p in line.get("points").split())
    assert x0 < x1 and y0 > y1


def test_times_are_the_median_of_seeds(tmp_path):
    for k, seconds in enumerate((1.0, 9.0, 4.0)):
        (tmp_path / f"{k}.tsv").write_text(f"s\tcpu_time\n{seconds}\t{2 * seconds}\n")
    assert cpu_seconds({"v": [tmp_path / f"{k}.tsv" for k in range(3)]}) == {"v": 8.0}

"""The page that compares variants of a space of classifiers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from lib.experiments.variants import summarise
from lib.report.sections import variants
from lib.report.sections.variants import comparison
from lib.report.variants import along, changed, comparison_page, in_words
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
VARIANTS = {
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


@pytest.fixture(scope="module")
def networks() -> pd.DataFrame:
    seeds = {"default": (0, 1)}
    parts = [rows_of(name, seed) for name in AGREEMENT for seed in seeds.get(name, (0,))]
    return summarise(pd.concat(parts, ignore_index=True))


@pytest.fixture(scope="module")
def changes() -> dict:
    single = parse_study({"spaces": {"singlearch": {"variants": VARIANTS}}}).spaces["singlearch"]
    return changed(single, {name: single.variant(name) for name in single.variants})


DISTILLED = pd.DataFrame(
    {"method": "distilled", "agreement": [0.9], "target_accuracy": [0.5], "accuracy": [0.52]}
)


def test_what_a_variant_changes_is_told_without_its_seeds(changes):
    assert changes["default"] == {}
    assert changes["few"] == {"trained_on": 4, "embedder.networks": 4}
    assert in_words(changes["few"]) == "trained_on 4, networks 4"
    assert in_words(changes["default"]) == "nothing"


def test_a_curve_goes_along_one_key_alone(changes):
    assert along(changes, "trained_on") == ["default", "few"]
    assert along(changes, "embedder.latent") == ["default", "narrow", "wide"]
    assert along(changes, "embedder.latent", "trained_on") == list(changes)
    all_changed = {name: found | {"refine_steps": 9} for name, found in changes.items()}
    assert along(all_changed, "trained_on") == ["default", "few"]
    all_changed["few"]["refine_steps"] = 8
    assert along(all_changed, "trained_on") == ["default"]


def test_validation_networks_choose_and_test_networks_are_told(networks, changes):
    assert variants.chosen(variants.over_architectures(networks), "decoded") == "wide"
    shown = comparison(networks, changes, SECONDS, DISTILLED)
    assert "“wide”: error 1.0 points" in shown.headline
    assert "agreement 86.0\u00a0%" in shown.headline
    assert [verdict.state for verdict in shown.verdicts] == ["reached", "short", "reached"]
    marked = zip(shown.table.rows, shown.table.strong, strict=True)
    assert [row[0].text for row, strong in marked if strong] == ["wide"]


def test_curves_hold_the_numbers_of_the_table(networks, changes):
    found = {c.id: c for c in variants.charts(networks, DISTILLED, changes)}
    assert set(found) == {
        f"fig-{size}-{share}" for size in ("zoo", "latent") for share in ("error", "agreement")
    }
    latent = {curve.look.label: curve.values for curve in found["fig-latent-agreement"].curves}
    assert latent["Held out (test)"] == pytest.approx({16: 0.79, 64: 0.88, 128: 0.86})
    assert latent["Training networks"] == pytest.approx({16: 0.82, 64: 0.89, 128: 0.89})
    assert list(latent["Distilled from scratch"].values()) == pytest.approx([0.9])
    assert "Training networks, 4 to 8" in next(variants.limits(networks, changes))


def test_a_config_without_sizes_has_a_page_all_the_same(networks, changes, tmp_path):
    frame = networks[networks["variant"] == "wide"]
    shown = comparison(frame, {"wide": changes["wide"]}, SECONDS, DISTILLED)
    assert not shown.charts
    assert "All variants" in comparison_page(shown, changes, sources(tmp_path), RUN, tmp_path)


def sources(folder) -> dict:
    return {name: folder / f"singlearch/{name}.csv" for name in ("variants", "reconstruction")}


def test_the_page_is_self_contained_and_links_its_data(networks, changes, tmp_path):
    shown = comparison(networks, changes, SECONDS, DISTILLED)
    html = comparison_page(shown, changes, sources(tmp_path), RUN, tmp_path)
    assert 'href="singlearch/variants.csv"' in html
    assert not re.search(r"""(src|href)=["'](https?:)?//""", html.split("<main", 1)[1])
    assert html.count('class="plot"') == 4


def test_several_architectures_are_told_together_and_one_by_one(networks, changes, tmp_path):
    both = pd.concat([networks, networks.assign(architecture="ResNet14")])
    shown = comparison(both, changes, SECONDS)
    assert [verdict.state for verdict in shown.verdicts] == ["reached", "reached"]
    assert shown.table.groups == [variants.EVERY, "ResNet8", "ResNet14"]
    assert shown.table.only(variants.EVERY).markdown.count("\n") == 2 + 4
    assert "Own minus other" in comparison_page(shown, changes, sources(tmp_path), RUN, tmp_path)

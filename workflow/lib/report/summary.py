"""What the tables say: values per network, and the study's goals held against them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.evaluate.statistics import mean_interval
from lib.report.style import interval, method_label, percent, points

CONSTANTS = ("constant", "mean_latent")
DECODER_METHODS = ("decoded", "mean_latent")
RECONSTRUCTION_LOSS = 0.01
INTERPOLATION_LOSS = 0.02
INTERPOLATION_SHARE = 0.95


@dataclass(frozen=True)
class Verdict:
    """One question put to the data; `state` is reached, short, open (not measured) or note."""

    state: str
    question: str
    answer: str
    goal: str
    source: str


def per_network(reconstruction: pd.DataFrame) -> pd.DataFrame:
    """One row per (method, network), averaged over seeds, in the order of the file.

    Adds `gap` (accuracy minus target), `margin` (agreement with the own target minus that with
    other targets), `runs` (rows averaged) and `failed` (those of another architecture than the
    target's). An embedder other than the first one named is a method of its own.
    """
    frame = reconstruction.copy()
    decoded = frame.loc[frame["method"] == "decoded", "embedder"]
    main = decoded.iloc[0] if len(decoded) else None
    other = frame["method"].isin(DECODER_METHODS) & (frame["embedder"] != main)
    frame.loc[other, "method"] += " (" + frame.loc[other, "embedder"].astype(str) + ")"
    frame["failed"] = frame["predicted_architecture"] != frame["architecture"]
    frame["gap"] = frame["accuracy"] - frame["target_accuracy"]
    frame["margin"] = frame["agreement"] - frame["agreement_other"]
    keys = ["method", "architecture", "network"]
    values = ["target_accuracy", "accuracy", "gap", "agreement", "agreement_other", "margin"]
    grouped = frame.groupby(keys, sort=False)
    result = grouped[values].mean()
    result["failed"] = grouped["failed"].sum()
    result["runs"] = grouped.size()
    return result.reset_index()


def trained_accuracy(networks: pd.DataFrame) -> dict[str, float]:
    """Mean test accuracy of the trained test networks of each architecture."""
    targets = networks.drop_duplicates("network")
    return targets.groupby("architecture", sort=False)["target_accuracy"].mean().to_dict()


def inner_points(architectures: Sequence[str]) -> list[tuple[float, str]]:
    """Where between the two extremes each architecture in between is due: (gamma, name)."""
    last = len(architectures) - 1
    return [(k / last, name) for k, name in enumerate(architectures) if 0 < k < last]


def at_inner_points(interpolation: pd.DataFrame, architectures: Sequence[str]) -> pd.DataFrame:
    """Rows at the inner points, once per (pair, method, seed), with `expected` and `point`."""
    parts = []
    for number, (gamma, name) in enumerate(inner_points(architectures), start=1):
        near = interpolation[np.isclose(interpolation["gamma"], gamma, rtol=0, atol=2e-3)]
        near = near.drop_duplicates(["pair", "method", "seed"])
        parts.append(near.assign(expected=name, point=f"{number}/{len(architectures) - 1}"))
    if not parts:
        return interpolation.iloc[:0].assign(expected="", point="")
    return pd.concat(parts, ignore_index=True)


def curves(interpolation: pd.DataFrame, architectures: Sequence[str]) -> pd.DataFrame:
    """Only the pairs followed along the whole way, not those seen at the inner points alone."""
    counts = interpolation.groupby(["pair", "method"])["gamma"].nunique()
    inner = len(inner_points(architectures))
    whole = {pair for (pair, _), count in counts.items() if count > inner}
    return interpolation[interpolation["pair"].isin(whole)]


def chosen(optimization: pd.DataFrame) -> pd.DataFrame:
    """The steps that were chosen: those with a test accuracy."""
    return optimization[optimization["test_accuracy"].notna()]


def run_count(optimization: pd.DataFrame) -> int:
    """How many runs there are, those included that never reached the required architecture."""
    keys = [name for name in ("architecture", "method", "start", "seed") if name in optimization]
    return len(optimization[keys].drop_duplicates())


def verdicts(
    networks: pd.DataFrame,
    interpolation: pd.DataFrame,
    optimization: pd.DataFrame,
    architectures: Sequence[str],
) -> list[Verdict]:
    """The goals of the study, each with what the data say."""
    trained = trained_accuracy(networks)
    found = [
        _architecture(networks),
        _accuracy(networks, architectures),
        _individual(networks, architectures),
        _against_constant(networks),
    ]
    inner = at_inner_points(interpolation, architectures)
    inner = inner[inner["method"] == "latent"]
    if len(inner):
        found += [_inner_architecture(inner), _inner_accuracy(inner, trained)]
    return [*found, _optimization(optimization, trained)]


def _state(reached: bool) -> str:
    return "reached" if reached else "short"


def _of(networks: pd.DataFrame, method: str) -> pd.DataFrame:
    return networks[networks["method"] == method]


def _architecture(networks: pd.DataFrame) -> Verdict:
    decoded = _of(networks, "decoded")
    runs, failed = int(decoded["runs"].sum()), int(decoded["failed"].sum())
    seeds = "" if runs == len(decoded) else f" ({len(decoded)} networks, all seeds)"
    return Verdict(
        _state(runs > 0 and failed == 0),
        "Does every test network come back with its own architecture?",
        f"{runs - failed} of {runs} do{seeds}",
        "All",
        "reconstruction",
    )


def _accuracy(networks: pd.DataFrame, architectures: Sequence[str]) -> Verdict:
    gaps = _of(networks, "decoded").groupby("architecture")["gap"].mean()
    gaps = {name: gaps[name] for name in architectures if name in gaps}
    worst = min(gaps, key=gaps.get) if gaps else ""
    listed = ", ".join(f"{name} {points(gap)}" for name, gap in gaps.items())
    return Verdict(
        _state(bool(gaps) and gaps[worst] >= -RECONSTRUCTION_LOSS),
        "Does it keep its test accuracy?",
        f"Mean change in points: {listed}",
        f"At most {100 * RECONSTRUCTION_LOSS:.0f} point lost, every architecture",
        "reconstruction",
    )


def _individual(networks: pd.DataFrame, architectures: Sequence[str]) -> Verdict:
    decoded = _of(networks, "decoded")
    groups = {name: decoded[decoded["architecture"] == name] for name in architectures}
    _, low, _ = mean_interval(decoded["margin"])
    texts = []
    for name, group in {"all networks": decoded, **groups}.items():
        if group.empty:
            continue
        mean, *bounds = mean_interval(group["margin"])
        spread = interval(*bounds, points)
        texts.append(f"{name} {points(mean)}" + (f" ({spread})" if spread else ""))
    return Verdict(
        "open" if math.isnan(low) else _state(low > 0),
        "Is it still the same individual: does it answer like its own target rather than others?",
        "Agreement with own minus other targets, in points: " + "; ".join(texts),
        "Above zero over all networks, interval excluding zero",
        "reconstruction",
    )


def _against_constant(networks: pd.DataFrame) -> Verdict:
    question = "Does one constant network per architecture do as well on that?"
    goal = "No: decoded networks above it, interval excluding zero"
    decoded = _of(networks, "decoded").set_index("network")["margin"]
    margins = {name: _of(networks, name).set_index("network")["margin"] for name in CONSTANTS}
    margins = {name: margin for name, margin in margins.items() if len(margin)}
    if not margins or decoded.empty:
        return Verdict("open", question, "Not measured", goal, "reconstruction")
    best = max(margins, key=lambda name: margins[name].mean())
    mean, low, high = mean_interval((decoded - margins[best]).dropna())
    answer = (
        f"Decoded {points(decoded.mean())}, best constant ({method_label(best).lower()}) "
        f"{points(margins[best].mean())}; difference {points(mean)}"
    )
    if math.isnan(low):
        return Verdict("open", question, answer, goal, "reconstruction")
    answer += f" ({interval(low, high, points)})"
    return Verdict(_state(low > 0), question, answer, goal, "reconstruction")


def _inner_architecture(inner: pd.DataFrame) -> Verdict:
    right = inner.assign(right=inner["predicted_architecture"] == inner["expected"])
    shares = right.groupby(["point", "expected"])["right"].mean()
    listed = ", ".join(
        f"{name} at {point} for {percent(share)}" for (point, name), share in shares.items()
    )
    return Verdict(
        _state(shares.min() >= INTERPOLATION_SHARE),
        "Do the architectures in between appear between the two extremes?",
        f"{listed} of {inner['pair'].nunique()} pairs",
        f"At least {100 * INTERPOLATION_SHARE:.0f} % of pairs at each point",
        "interpolation",
    )


def _inner_accuracy(inner: pd.DataFrame, trained: dict[str, float]) -> Verdict:
    means = inner.groupby(["point", "expected"])["accuracy"].mean()
    gaps = {key: mean - trained.get(key[1], math.nan) for key, mean in means.items()}
    known = all(math.isfinite(gap) for gap in gaps.values())
    listed = ", ".join(
        f"{percent(means[key])} at {key[0]} ({points(gap)} to trained {key[1]})"
        for key, gap in gaps.items()
    )
    return Verdict(
        _state(min(gaps.values()) >= -INTERPOLATION_LOSS) if known else "open",
        "Are those networks as good as trained ones?",
        listed,
        f"At most {100 * INTERPOLATION_LOSS:.0f} points below the trained test networks' mean",
        "interpolation",
    )


def _optimization(optimization: pd.DataFrame, trained: dict[str, float]) -> Verdict:
    runs = optimization[optimization["method"] == "latent"]
    picked = chosen(runs)
    means = picked.groupby("architecture")["test_accuracy"].mean()
    listed = ", ".join(
        f"{name} {percent(means[name])} (trained {percent(trained[name])})"
        for name in trained
        if name in means
    )
    return Verdict(
        "note" if listed else "open",
        "Can a latent be optimised towards a required architecture?",
        f"{len(picked)} of {run_count(runs)} runs got there; test accuracy at the chosen step: "
        f"{listed}"
        if listed
        else "No run got there"
        if len(runs)
        else "Not measured",
        "No threshold set; beside the trained test networks' mean",
        "latent_optimization",
    )

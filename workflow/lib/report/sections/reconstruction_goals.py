"""The goals for networks that come back, of several architectures and of one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from lib.experiments.statistics import bootstrap_interval, mean_interval
from lib.report.blocks import Verdict
from lib.report.methods import label
from lib.report.networks import of
from lib.report.section import PageData
from lib.report.style import interval, percent, points, points_of, with_spread

CONSTANTS = ("constant", "mean_latent")
LOSS = 0.01  # of accuracy, in an architecture
# Of one architecture: mean error of accuracy, its correlation, agreement.
GOALS = {"decoded": (0.03, 0.985, 0.85), "refined": (0.02, 0.99, 0.90)}
LOOK_UP = "nearest_agreement"


def verdicts(page: PageData, whole: pd.DataFrame) -> list[Verdict]:
    """The goals that apply to the space; `whole` is `measures.summary`, by method."""
    networks = page.networks
    if page.several:
        return [
            _architecture(networks),
            _accuracy(networks, page.architectures),
            _individual(networks, page.architectures),
            _against_constant(networks),
        ]
    found = [
        goal(whole, "decoded", "Does a network that comes back have its target's accuracy?"),
        _agreement(whole, networks),
        _against_look_up(networks),
    ]
    if "refined" in whole.index:
        question = "And if its latent is refined on training images?"
        found.append(goal(whole, "refined", question, whole.loc["refined", "agreement"]))
    return found


def state(reached: bool) -> str:
    """The state of a goal."""
    return "reached" if reached else "short"


# --- several architectures


def _architecture(networks: pd.DataFrame) -> Verdict:
    decoded = of(networks, "decoded")
    runs, failed = int(decoded["runs"].sum()), int(decoded["failed"].sum())
    seeds = "" if runs == len(decoded) else f" ({len(decoded)} networks, all seeds)"
    return Verdict(
        state(runs > 0 and failed == 0),
        "Does every test network come back with its own architecture?",
        f"{runs - failed} of {runs} do{seeds}",
        "All",
        "reconstruction",
    )


def _accuracy(networks: pd.DataFrame, architectures: tuple[str, ...]) -> Verdict:
    gaps = of(networks, "decoded").groupby("architecture")["gap"].mean()
    gaps = {name: gaps[name] for name in architectures if name in gaps}
    worst = min(gaps, key=gaps.get) if gaps else ""
    listed = ", ".join(f"{name} {points(gap)}" for name, gap in gaps.items())
    return Verdict(
        state(bool(gaps) and gaps[worst] >= -LOSS),
        "Does it keep its test accuracy?",
        f"Mean change in points: {listed}",
        f"At most {100 * LOSS:.0f} point lost, every architecture",
        "reconstruction",
    )


def _individual(networks: pd.DataFrame, architectures: tuple[str, ...]) -> Verdict:
    decoded = of(networks, "decoded")
    groups = {name: decoded[decoded["architecture"] == name] for name in architectures}
    _, low, _ = mean_interval(decoded["margin"])
    texts = []
    for name, group in {"all networks": decoded, **groups}.items():
        if group.empty:
            continue
        mean, *bounds = mean_interval(group["margin"])
        texts.append(f"{name} {with_spread(points(mean), interval(*bounds, points))}")
    return Verdict(
        "open" if math.isnan(low) else state(low > 0),
        "Is it still the same individual: does it answer like its own target rather than others?",
        "Agreement with own minus other targets, in points: " + "; ".join(texts),
        "Above zero over all networks, interval excluding zero",
        "reconstruction",
    )


def _against_constant(networks: pd.DataFrame) -> Verdict:
    question = "Does one constant network per architecture do as well on that?"
    wanted = "No: decoded networks above it, interval excluding zero"
    decoded = of(networks, "decoded").set_index("network")["margin"]
    margins = {name: of(networks, name).set_index("network")["margin"] for name in CONSTANTS}
    margins = {name: margin for name, margin in margins.items() if len(margin)}
    if not margins or decoded.empty:
        return Verdict("open", question, "Not measured", wanted, "reconstruction")
    best = max(margins, key=lambda name: margins[name].mean())
    mean, low, high = mean_interval((decoded - margins[best]).dropna())
    answer = (
        f"Decoded {points(decoded.mean())}, best constant ({label(best).lower()}) "
        f"{points(margins[best].mean())}; difference "
        f"{with_spread(points(mean), interval(low, high, points))}"
    )
    reached = "open" if math.isnan(low) else state(low > 0)
    return Verdict(reached, question, answer, wanted, "reconstruction")


# --- one architecture


def goal(
    whole: pd.DataFrame,
    method: str,
    question: str,
    agreement: float | None = None,
    source: str = "reconstruction",
) -> Verdict:
    """What a method reaches of the `GOALS`; with `agreement` of that one too.

    Args:
        whole: `measures.summary`, by method.
        method: a key of `GOALS`.
        question: that the goal answers.
        agreement: of the method.
        source: the table that `whole` is of.
    """
    error, correlation, agreed = GOALS[method]
    row = whole.loc[method]
    answer = f"Mean error {points_of(row['error'])}, correlation {row['correlation']:.3f}"
    wanted = f"Error at most {100 * error:.0f} points, correlation at least {correlation}"
    reached = row["error"] <= error and row["correlation"] >= correlation
    if agreement is not None:
        answer += f", agreement {percent(agreement)}"
        wanted += f", agreement at least {100 * agreed:.0f} %"
        reached = reached and agreement >= agreed
    return Verdict(state(bool(reached)), question, answer, wanted, source)


def _agreement(whole: pd.DataFrame, networks: pd.DataFrame) -> Verdict:
    row = whole.loc["decoded"]
    fifths = [row[f"agreement_{k}"] for k in range(1, 6)]
    parts = " / ".join(percent(value) for value in fifths if np.isfinite(value))
    margin, low, high = mean_interval(of(networks, "decoded")["margin"])
    least = GOALS["decoded"][2]
    return Verdict(
        state(bool(row["agreement"] >= least)),
        "Does it give its target's answers?",
        f"Agreement {percent(row['agreement'])}; from poor to good targets {parts}; own minus "
        "other targets of about the same accuracy "
        + with_spread(f"{points(margin)} points", interval(low, high, points)),
        f"Agreement at least {100 * least:.0f} %",
        "reconstruction",
    )


def _against_look_up(networks: pd.DataFrame) -> Verdict:
    question = "Is it better than looking up the most similar training network?"
    wanted = "Smaller error and more agreement, both intervals excluding zero"
    by = {method: part.set_index("network") for method, part in networks.groupby("method")}
    if LOOK_UP not in by or "decoded" not in by:
        return Verdict("open", question, "Not measured", wanted, "reconstruction")
    gain = {}
    for column, sign in (("error", -1), ("agreement", 1)):
        change = (sign * (by["decoded"][column] - by[LOOK_UP][column])).dropna()
        gain[column] = bootstrap_interval(change, "look-up", column)
    means = by[LOOK_UP][["error", "agreement"]].mean()
    answer = (
        f"Look-up has error {points_of(means['error'])} and agreement {percent(means['agreement'])}"
        f"; decoded networks have an error smaller by {points(gain['error'][0])} points"
        f" ({interval(*gain['error'][1:], points)}) and an agreement higher by "
        f"{points(gain['agreement'][0])} ({interval(*gain['agreement'][1:], points)})"
    )
    lows = [low for _, low, _ in gain.values()]
    reached = state(min(lows) > 0) if np.isfinite(lows).all() else "open"
    return Verdict(reached, question, answer, wanted, "reconstruction")

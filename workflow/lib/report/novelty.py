"""The report's section on novelty: are decoded networks new, or copies of training networks?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Cell, Choice, Control, Figure, Table
from lib.report.style import (
    INK,
    SYMBOLS,
    TERM_COLORS,
    Palette,
    interval,
    layout,
    percent,
    share_axis,
)
from lib.report.summary import Verdict

KINDS = {
    "decoded_test": ("Decoded, test", "test networks after the latent space"),
    "decoded_training": ("Decoded, training", "training networks after the latent space"),
    "midpoint": (
        "Halfway",
        "decoded from the middle between the latents of two test networks of an architecture",
    ),
    "interpolated": (
        "Interpolated",
        "decoded from the points between test networks of the two extreme architectures",
    ),
    "held_out": ("Held out", "test networks as they were trained: as new as trained networks are"),
    "training": ("Training", "training networks, each compared with the others"),
    "noise": (
        "With noise",
        "training networks with as much noise as leaves them as accurate as decoded test networks, "
        "and at most half a point less accurate than without: copies, spoilt",
    ),
}
DECODED = ("decoded_test", "decoded_training", "midpoint", "interpolated")
EVERY = "All architectures"
QUESTION = "Are decoded networks new, or copies of training networks?"


@dataclass(frozen=True)
class Section:
    """What the section shows."""

    sentence: str
    control: Control
    figures: Sequence[Figure]
    table: Table
    glossary: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Judgement:
    """Decoded test networks against held-out networks and noise, by one measure of nearness.

    `state` is new, between or copy, or open where there are too few; the others are means.
    """

    state: str
    decoded: float
    held_out: float
    noise: float


def judge(frame: pd.DataFrame, column: str, sign: int) -> Judgement:
    """Hold decoded test networks against held-out ones and noise; `sign` -1 for a distance.

    No nearer to the training networks than held-out networks are: new. As near as noise, or
    nearer: a copy. Networks are averaged over seeds and compared in the order they come in,
    within each architecture, so that all architectures count.
    """
    parts = {
        kind: frame[frame["kind"] == kind].groupby(["architecture", "place"])[column].mean()
        for kind in ("decoded_test", "held_out", "noise")
    }
    decoded, held_out, noise = parts.values()
    new = mean_interval(sign * (decoded - held_out).dropna())
    copy = mean_interval(sign * (decoded - noise).dropna())
    if math.isnan(new[1]) or math.isnan(copy[1]):
        state = "open"
    elif new[1] <= 0:
        state = "new"
    elif copy[2] >= 0:
        state = "copy"
    else:
        state = "between"
    return Judgement(state, decoded.mean(), held_out.mean(), noise.mean())


WORDS = {
    "new": "new: no nearer to a training network than held-out networks are",
    "between": "neither new nor copies: nearer to a training network than held-out networks are, "
    "but not as near as noise around one",
    "copy": "copies: as near to a training network as noise around one, or nearer",
    "open": "too few to say",
}


def sentence(frame: pd.DataFrame) -> str:
    """What the data say, in plain words."""
    frame = _prepared(frame)
    answers, weights = judge(frame, "error_overlap", 1), judge(frame, "distance", -1)
    agreement = judge(frame, "agreement", 1)
    return (
        f"In their weights, decoded test networks are {WORDS[weights.state]} (distances "
        f"{_three(weights, _distance)} for decoded, held-out and noisy networks). "
        f"{_nearest(frame)} In their answers they are {WORDS[answers.state]} (errors in common "
        f"with the nearest training network {_three(answers, percent)}; agreement "
        f"{_three(agreement, percent)})."
    )


def _three(found: Judgement, form: Callable[[float], str]) -> str:
    return f"{form(found.decoded)}, {form(found.held_out)} and {form(found.noise)}"


def _nearest(frame: pd.DataFrame) -> str:
    """How many different training networks are nearest to decoded networks."""
    decoded = frame[frame["kind"] == "decoded_test"]
    counts = decoded.groupby(["architecture", "seed"])["nearest_weights"].nunique()
    if counts.empty:
        return ""
    if counts.max() == 1:
        return (
            "The nearest is one and the same training network for all of an architecture: they "
            "are variations of one network."
        )
    return f"{counts.mean():.1f} different training networks of an architecture are nearest to one."


def verdict(frame: pd.DataFrame) -> Verdict:
    """The row of the table of questions."""
    frame, texts = _prepared(frame), []
    for what, column, sign, form in (
        ("In weights", "distance", -1, _distance),
        ("in answers", "error_overlap", 1, percent),
    ):
        found = judge(frame, column, sign)
        texts.append(f"{what} {WORDS[found.state].partition(':')[0]} ({_three(found, form)})")
    answer = (
        f"{'; '.join(texts)}: distance to, errors in common with the nearest training network, for "
        "decoded, held-out and noisy networks"
    )
    return Verdict("note", QUESTION, answer, "No threshold set; said as it is", "novelty")


def section(frame: pd.DataFrame, palette: Palette) -> Section:
    """The whole section."""
    shown = [name for name in palette.architectures if name in set(frame["architecture"])]
    distance, accuracy = (_scatter(frame, shown, *axes) for axes in AXES)
    choices = []
    for choice in (EVERY, *shown):
        visible = [choice in (EVERY, name) for name in shown for _ in KINDS] + [True] * len(KINDS)
        choices.append(Choice(choice, dict.fromkeys((distance.id, accuracy.id), visible)))
    return Section(
        sentence(frame),
        Control("control-novelty", "Networks of", choices),
        [distance, accuracy],
        _table(frame, shown),
        list(KINDS.values()),
    )


AXES = (
    (
        "fig-novelty-distance",
        "weight_distance",
        "agreement",
        "Distance of weights to the nearest",
        "In weights and in answers",
        "Copies lie top left: the same weights, the same answers. The more to the right, the less "
        "the weights have to do with those of any training network; the further down, the less "
        "the answers.",
    ),
    (
        "fig-novelty-accuracy",
        "accuracy",
        "agreement",
        "Test accuracy",
        "In answers, at equal accuracy",
        "Good networks agree because both are right; so nearness to a training network has to be "
        "compared at the same accuracy, from top to bottom.",
    ),
)


def _scatter(
    frame: pd.DataFrame, shown: Sequence[str], id: str, x: str, y: str, title: str, *words: str
) -> Figure:
    figure = go.Figure(layout=layout(440))
    looks = dict(zip(KINDS, zip(TERM_COLORS, SYMBOLS, strict=True), strict=True))
    for name in shown:
        for kind, (color, symbol) in looks.items():
            part = frame[(frame["architecture"] == name) & (frame["kind"] == kind)]
            nearest = part["nearest_weights" if x == "weight_distance" else "nearest_outputs"]
            figure.add_scatter(
                x=part[x],
                y=part[y],
                mode="markers",
                name=KINDS[kind][0],
                legendgroup=kind,
                showlegend=False,
                marker=_marker(color, symbol, kind),
                customdata=list(zip(part["network"], nearest, strict=True)),
                hovertemplate=(
                    f"<b>%{{customdata[0]}}</b><br>{KINDS[kind][0].lower()}<br>nearest: "
                    "%{customdata[1]}<br>%{x}, agreement %{y:.1%}<extra></extra>"
                ),
            )
    for kind, (color, symbol) in looks.items():
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=KINDS[kind][0],
            legendgroup=kind,
            marker=_marker(color, symbol, kind) | {"opacity": 1},
        )
    if x == "accuracy":
        figure.update_xaxes(share_axis(title))
    else:
        figure.update_xaxes(title={"text": title}, rangemode="tozero", hoverformat=".2f")
    figure.update_yaxes(share_axis("Agreement with the nearest"))
    label = f"{title} and agreement with the nearest training network, network by network."
    return Figure(id, figure, label, words[1], "novelty", words[0])


def _marker(color: str, symbol: str, kind: str) -> dict:
    edge = {"color": INK if kind in DECODED else "#ffffff", "width": 0.7}
    return {"color": color, "symbol": symbol, "size": 8, "opacity": 0.8, "line": edge}


def _table(frame: pd.DataFrame, shown: Sequence[str]) -> Table:
    rows, group, strong = [], [], []
    columns = ("accuracy", "weight_distance", "aligned_distance", "agreement", "error_overlap")
    for part in (EVERY, *shown):
        inside = frame if part == EVERY else frame[frame["architecture"] == part]
        for kind, (label, _) in KINDS.items():
            some = inside[inside["kind"] == kind]
            if some.empty:
                continue
            own = some["nearest_outputs"] == some["network"]
            told = kind in ("decoded_training", "noise")
            seeds = some.groupby(["architecture", "seed"])
            counts = [seeds[f"nearest_{what}"].nunique().mean() for what in ("weights", "outputs")]
            values = some.groupby(["architecture", "network"])[list(columns)].mean()
            rows.append(
                [
                    Cell(label),
                    Cell(str(len(values))),
                    *(_mean(values[column], "distance" in column) for column in columns),
                    Cell(" / ".join(f"{count:.3g}" for count in counts)),
                    Cell(percent(own.mean()) if told else "–"),
                ]
            )
            group.append(part)
            strong.append(kind in DECODED)
    return Table(
        "table-novelty",
        (
            "Networks",
            "Count",
            "Test accuracy",
            "Distance of weights",
            "The same, neurons aligned",
            "Agreement",
            "Errors in common",
            "Different nearest: weights / answers",
            "Nearest in answers is its own original",
        ),
        rows,
        "To the nearest training network by each measure; mean over networks, below it the 95 % "
        "interval. Aligned: only architectures that are chains of layers. Different nearest: how "
        "many training networks of an architecture are nearest to any of these.",
        "novelty",
        group=group,
        strong=strong,
    )


def _mean(values: pd.Series, distance: bool) -> Cell:
    mean, low, high = mean_interval(values)
    if distance:
        return Cell(_distance(mean), interval(low, high, _distance, 2))
    return Cell(percent(mean), interval(max(low, 0.0), min(high, 1.0)))


def _distance(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """With the place of each network among those of its kind, architecture and seed.

    `distance` is that of weights after alignment, where there is one.
    """
    return frame.assign(
        place=frame.groupby(["kind", "architecture", "seed"]).cumcount(),
        distance=frame["aligned_distance"].fillna(frame["weight_distance"]),
    )

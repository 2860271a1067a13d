"""The report's section on novelty: are decoded networks new, or copies of training networks?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Cell, Choice, Control, Figure, Table
from lib.report.novelty_summary import distance, sentence
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


@dataclass(frozen=True)
class Section:
    """What the section shows."""

    sentence: str
    control: Control
    figures: Sequence[Figure]
    table: Table
    glossary: Sequence[tuple[str, str]]


def section(frame: pd.DataFrame, palette: Palette) -> Section:
    """The whole section."""
    shown = [name for name in palette.architectures if name in set(frame["architecture"])]
    weights, accuracy = (_scatter(frame, shown, *axes) for axes in AXES)
    choices = []
    for choice in (EVERY, *shown):
        visible = [choice in (EVERY, name) for name in shown for _ in KINDS] + [True] * len(KINDS)
        choices.append(Choice(choice, dict.fromkeys((weights.id, accuracy.id), visible)))
    return Section(
        sentence(frame),
        Control("control-novelty", "Networks of", choices),
        [weights, accuracy],
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


def _mean(values: pd.Series, of_weights: bool) -> Cell:
    mean, low, high = mean_interval(values)
    if of_weights:
        return Cell(distance(mean), interval(low, high, distance, 2))
    return Cell(percent(mean), interval(max(low, 0.0), min(high, 1.0)))

"""The report's section on neighbours: precision of retrieval against weights, answers, chance."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.statistics import bootstrap_interval
from lib.report.blocks import Cell, Figure, Table
from lib.report.style import INK, MUTED, TERM_COLORS, Palette, interval, layout, percent, share_axis
from lib.report.summary import Verdict

METHODS = {"latent": "Latents", "weights": "Weights", "outputs": "Answers"}
SYMBOLS = ("circle", "square", "diamond")
# What is counted: its name, its column, that of chance.
KINDS = {
    kind: (label, f"precision_{kind}", f"chance_{kind}")
    for kind, label in {
        "architecture": "Same architecture",
        "band": "Same band of accuracy",
        "band_within": "Same band within the architecture",
    }.items()
}
AGREEMENT = ("Agreement within the architecture", "agreement_within", "chance_agreement_within")
EVERY = "All architectures"


@dataclass(frozen=True)
class Section:
    """What the section shows."""

    sentence: str
    neighbours: int
    figure: Figure
    table: Table


def sentence(frame: pd.DataFrame) -> str:
    """What the data say, in plain words."""
    frame = _per_query(frame)
    texts = []
    for kind, (label, value, chance) in KINDS.items():
        found = [
            f"{percent(part[value].mean())} by {METHODS.get(method, method).lower()}"
            for method, part in frame.groupby("method", sort=False)
        ]
        latent = frame[frame["method"] == "latent"]
        level = latent[chance].mean()
        _, low, high = bootstrap_interval(latent[value] - latent[chance], kind, "change")
        word = "better than" if low > 0 else "worse than" if high < 0 else "not told from"
        texts.append(
            f"{label.lower()}: {', '.join(found)} (latents {word} chance, {percent(level)})"
        )
    return f"Among the nearest training networks, {'; '.join(texts)}."


def verdict(frame: pd.DataFrame) -> Verdict:
    """The row of the table of questions."""
    frame = _per_query(frame)
    latent = frame[frame["method"] == "latent"]
    texts = [
        f"{label.lower()} {percent(latent[value].mean())} (chance {percent(latent[chance].mean())})"
        for label, value, chance in KINDS.values()
    ]
    return Verdict(
        "note",
        "Is what lies near a network like it?",
        f"Of the nearest training networks by latents: {', '.join(texts)}",
        "No threshold set; beside weights, answers and chance",
        "retrieval",
    )


def section(frame: pd.DataFrame, palette: Palette) -> Section:
    """The whole section."""
    queries = _per_query(frame)
    shown = [name for name in palette.architectures if name in set(frame["architecture"])]
    count = int(frame["neighbours"].max())
    return Section(sentence(frame), count, _figure(queries), _table(queries, shown))


def _per_query(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per method and query, averaged over seeds; the latent first."""
    values = [column for _, *pair in (*KINDS.values(), AGREEMENT) for column in pair]
    found = frame.groupby(["method", "architecture", "network"], sort=False)[values].mean()
    found = found.reset_index()
    order = found["method"].map({name: k for k, name in enumerate(METHODS)})
    return found.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def _figure(queries: pd.DataFrame) -> Figure:
    figure = go.Figure(layout=layout(340))
    for number, (method, label) in enumerate(METHODS.items()):
        part = queries[queries["method"] == method]
        found = [
            bootstrap_interval(part[value], kind, method) for kind, (_, value, _) in KINDS.items()
        ]
        mean, low, high = (np.nan_to_num(column) for column in np.array(found).T)
        color = INK if method == "latent" else TERM_COLORS[number]
        figure.add_scatter(
            x=[place + 0.18 * (number - 1) for place in range(len(KINDS))],
            y=mean,
            mode="markers",
            name=label,
            marker={"color": color, "symbol": SYMBOLS[number], "size": 11},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": high - mean,
                "arrayminus": mean - low,
                "color": color,
                "thickness": 1.8,
                "width": 4,
            },
            hovertemplate=f"{label}<br>precision %{{y:.1%}}<extra></extra>",
        )
    chance = queries.drop_duplicates("network")
    for place, (_, _, column) in enumerate(KINDS.values()):
        level = chance[column].mean()
        figure.add_scatter(
            x=[place - 0.36, place + 0.36],
            y=[level, level],
            mode="lines",
            name="Chance",
            showlegend=place == 0,
            line={"color": MUTED, "width": 1.5, "dash": "dot"},
            hovertemplate="chance %{y:.1%}<extra></extra>",
        )
    figure.update_xaxes(
        tickvals=list(range(len(KINDS))),
        ticktext=["<br>".join(textwrap.wrap(label, 18)) for label, *_ in KINDS.values()],
        range=[-0.5, len(KINDS) - 0.5],
        showgrid=False,
        ticks="",
    )
    figure.update_yaxes(share_axis("Precision", range=[0, 1.04]))
    return Figure(
        "fig-retrieval",
        figure,
        "Precision of neighbours by latents, weights and answers, beside chance.",
        "Mean over test networks with the 95 % interval, by resampling them.",
        "retrieval",
    )


def _table(queries: pd.DataFrame, shown: Sequence[str]) -> Table:
    rows, group, strong = [], [], []
    columns = (*KINDS.values(), AGREEMENT)
    for name in (EVERY, *shown):
        inside = queries if name == EVERY else queries[queries["architecture"] == name]
        for method, part in inside.groupby("method", sort=False):
            cells = [_mean(part[value], value, method, name) for _, value, _ in columns]
            rows.append([Cell(METHODS.get(method, method)), *cells])
            group.append(name)
            strong.append(method == "latent")
        drawn = inside.drop_duplicates("network")
        rows.append([Cell("Chance"), *(Cell(percent(drawn[c].mean())) for _, _, c in columns)])
        group.append(name)
        strong.append(False)
    return Table(
        "table-retrieval",
        ("Nearest by", *(label for label, *_ in columns)),
        rows,
        "Mean over test networks; below it the 95 % interval. Agreement: how often the network and "
        "its neighbours of the same architecture give the same answer on test images.",
        "retrieval",
        group=group,
        strong=strong,
    )


def _mean(values: pd.Series, *names: str) -> Cell:
    mean, low, high = bootstrap_interval(values, *names)
    return Cell(percent(mean), interval(low, high))

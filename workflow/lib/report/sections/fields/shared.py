"""What several sections of a page on shapes are made of: tables of scores, strips of dots."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.experiments.statistics import mean_interval
from lib.report.blocks import Cell, Glossary, Table
from lib.report.cells import share
from lib.report.methods import glossary, look
from lib.report.section import PageData
from lib.report.style import layout, percent
from lib.report.surfaces import label, length, length_interval

MARKS = 1500  # of a figure, at most: a page is to stay small
ORDER = ("decoded", "siren", "nearest", "mean", "completed", "scratch")
SHARES = {
    "iou": "IoU",
    "fscore_001": "F-score at 0.01",
    "fscore_002": "F-score at 0.02",
    "normal_consistency": "Normal consistency",
}
DRAWN = (
    "Method",
    "Meshes",
    "In one piece",
    "Without a surface",
    "Pieces, median",
    "Volume, mean",
    "Chamfer distance to the nearest training shape",
)


def words(page: PageData, experiment: str) -> list[Glossary]:
    """What all methods of the page are: a block that the first of its experiments shows."""
    if experiment != page.experiments[0]:
        return []
    order = sorted(page.experiments, key="interpolation".__eq__)
    names = [name for table in order for name in page[table]["method"]]
    return [Glossary("What the methods are", glossary(names, "fields"))]


def of(frame: pd.DataFrame, method: str, column: str) -> pd.Series:
    """A method's values by shape."""
    return frame[frame["method"] == method].set_index("shape")[column]


def scores(shapes: pd.DataFrame, strong: str, source: str, caption: str) -> Table:
    """Scores of each method over shapes; `share` of the own field's IoU where it is there."""
    order = [name for name in ORDER if name in set(shapes["method"])]
    order += [name for name in shapes["method"].unique() if name not in order]
    kept = {"share": "Of own field's IoU"} if "share" in shapes else {}
    rows = []
    for method in order:
        some = shapes[shapes["method"] == method]
        rows.append(
            [
                Cell(label(method), f"{len(some)} shapes"),
                *(share(some[column]) for column in ("iou", *kept)),
                _length(some["chamfer"]),
                *(share(some[column]) for column in list(SHARES)[1:]),
            ]
        )
    columns = ("Method", "IoU", *kept.values(), "Chamfer distance", *list(SHARES.values())[1:])
    marked = [method == strong for method in order]
    return Table(f"table-{source}", columns, rows, caption, source, strong=marked)


def drawn(frame: pd.DataFrame, source: str, caption: str) -> Table:
    """What can be said of meshes that stand for no shape in particular, by method."""
    rows, methods = [], list(dict.fromkeys(frame["method"]))
    for method in methods:
        some = frame[frame["method"] == method]
        there = some[some["parts"] > 0]
        rows.append(
            [
                Cell(label(method)),
                Cell(str(len(some))),
                Cell(percent((some["parts"] == 1).mean())),
                Cell(percent((some["parts"] == 0).mean())),
                Cell(f"{there['parts'].median():.0f}" if len(there) else "–"),
                Cell(length(there["volume"].mean(), 3)),
                _length(there["chamfer"]),
            ]
        )
    marked = [method == "latent" for method in methods]
    return Table(f"table-{source}", DRAWN, rows, caption, source, strong=marked)


def _length(values: pd.Series) -> Cell:
    mean, low, high = mean_interval(values)
    return Cell(length(mean), length_interval(max(low, 0.0), high))


def strip(frame: pd.DataFrame, column: str, title: str, share: bool) -> go.Figure:
    """Each shape (or mesh) as a dot, the mean with its interval beside it, by method."""
    figure = go.Figure(layout=layout(340, showlegend=False))
    who = "shape" if "shape" in frame else "mesh"
    form = ":.1%" if share else ":.4f"
    methods = list(dict.fromkeys(frame["method"]))
    for place, method in enumerate(methods):
        rows = frame[frame["method"] == method].dropna(subset=[column])
        some, color = rows[:MARKS], look(method, "fields").color
        figure.add_scatter(
            x=np.full(len(some), place - 0.12),
            y=some[column],
            mode="markers",
            marker={"size": 7, "color": color, "opacity": 0.55},
            text=some[who],
            hovertemplate=f"%{{text}}<br>{label(method)}: %{{y{form}}}<extra></extra>",
        )
        mean, low, high = mean_interval(rows[column])
        figure.add_scatter(
            x=[place + 0.12],
            y=[mean],
            mode="markers",
            marker={"size": 11, "color": "#ffffff", "line": {"color": color, "width": 2.5}},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [np.nan_to_num(high - mean)],
                "arrayminus": [np.nan_to_num(mean - max(low, 0.0))],
                "color": color,
                "thickness": 2,
                "width": 5,
            },
            hovertemplate=f"{label(method)}<br>mean %{{y{form}}}<extra></extra>",
        )
    figure.update_xaxes(
        tickvals=list(range(len(methods))),
        ticktext=[label(method).replace(" ", "<br>") for method in methods],
        tickangle=0,
        range=[-0.6, len(methods) - 0.4],
    )
    figure.update_yaxes(title={"text": title}, rangemode="tozero")
    if share:
        figure.update_yaxes(tickformat=".0%", range=[0, 1])
    return figure

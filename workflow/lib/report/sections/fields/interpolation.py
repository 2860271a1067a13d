"""Interpolation: what lies on the way from one test shape to another?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Figure, Table, Text, Verdict
from lib.report.methods import look
from lib.report.scenes import scenes_of
from lib.report.section import PageData, Section
from lib.report.sections.fields.shared import drawn, words
from lib.report.style import SYMBOLS, layout, percent
from lib.report.surfaces import label


def section(page: PageData) -> Section:
    """The section."""
    frame = page["interpolation"]
    return Section(
        "interpolation",
        "Interpolation: from one test shape to another",
        "Interpolation",
        [
            Text(
                "A straight line between two latents is decoded point by point, and beside it the "
                "weights themselves are mixed. The slider goes along both."
            ),
            *scenes_of(page, "interpolation"),
            figure(frame),
            table(frame),
            *words(page, "interpolation"),
        ],
        [verdict(frame)],
    )


def inner(interpolation: pd.DataFrame) -> pd.DataFrame:
    """The points between the ends."""
    gamma = interpolation["gamma"]
    return interpolation[(gamma > 0) & (gamma < 1)]


def figure(frame: pd.DataFrame) -> Figure:
    """How far the shapes on the way between two test shapes are from any training shape."""
    ways = go.Figure(layout=layout(340))
    for method, some in frame.groupby("method", sort=False):
        for number, (pair, rows) in enumerate(some.groupby("pair")):
            rows = rows.sort_values("gamma")
            ways.add_scatter(
                x=rows["gamma"],
                y=rows["chamfer"],
                mode="lines+markers",
                name=label(method),
                legendgroup=method,
                showlegend=number == 0,
                line=look(method, "fields").line,
                marker={"size": 7, "symbol": SYMBOLS[number % len(SYMBOLS)]},
                text=rows["nearest"],
                hovertemplate=f"pair {pair}, %{{x:.2f}} along<br>nearest: %{{text}}, %{{y:.4f}}"
                "<extra></extra>",
            )
    ways.update_xaxes(title={"text": "How far along"}, tickformat=".0%")
    ways.update_yaxes(title={"text": "Chamfer distance"}, rangemode="tozero")
    return Figure(
        "fig-interpolation",
        ways,
        "Chamfer distance to the nearest training shape along the ways between test shapes",
        "One line for each pair and way. A point without a surface is left out.",
        "interpolation",
        "Distance to the nearest training shape",
    )


def table(frame: pd.DataFrame) -> Table:
    """The points between the ends of all pairs."""
    return drawn(
        inner(frame),
        "interpolation",
        "Points between the ends, all pairs. Pieces: how many connected parts a surface has.",
    )


def verdict(frame: pd.DataFrame) -> Verdict:
    """One piece tells a chair from crumbs; a surface at all is less."""
    texts = []
    for method, rows in inner(frame).groupby("method", sort=False):
        whole, none = (rows["parts"] == 1).mean(), (rows["parts"] == 0).mean()
        texts.append(
            f"{label(method).lower()}: {percent(whole)} in one piece, {percent(none)} without a "
            "surface"
        )
    return Verdict(
        "note" if texts else "open",
        "Are there shapes on the way between two shapes?",
        f"Among the points between the ends, {'; '.join(texts)}" if texts else "Not measured",
        "No threshold set; beside the way through the weights",
        "interpolation",
    )

"""Figures that lay all networks of an architecture in a strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report.marks import categories, error_bar, share_interval
from lib.report.style import GRID, MUTED, Palette, layout, share_axis


@dataclass(frozen=True)
class Strip:
    """One column per architecture: networks' values, and whether it is hollow or a control."""

    name: str
    values: pd.DataFrame
    column: str
    hollow: bool = False
    control: bool = False


def strips(columns: Sequence[Strip], palette: Palette, title: str) -> go.Figure:
    """Every network as a dot, the mean with its interval beside it, per strip and architecture.

    Args:
        columns: strips from left to right inside an architecture's band.
        palette: architectures in order and their colors.
        title: what is on the vertical axis (a share).
    """
    figure = go.Figure(layout=layout(360))
    columns = [strip for strip in columns if len(strip.values)]
    present = {name for strip in columns for name in strip.values["architecture"]}
    shown = [name for name in palette.architectures if name in present]
    width = 0.84 / max(len(columns), 1)
    for number, strip in enumerate(columns):
        offset = (number - (len(columns) - 1) / 2) * width
        for place, name in enumerate(shown):
            part = strip.values[strip.values["architecture"] == name]
            color = MUTED if strip.control else palette.color(name)
            face = "#ffffff" if strip.hollow or strip.control else color
            symbol = "diamond" if strip.control else "circle"
            marker = {"symbol": symbol, "color": face, "line": {"color": color, "width": 1}}
            figure.add_scatter(
                x=np.full(len(part), place + offset - 0.06),
                y=part[strip.column],
                mode="markers",
                marker=marker | {"size": 5},
                opacity=0.5,
                showlegend=False,
                text=part["network"],
                hovertemplate=f"%{{text}}<br>{strip.name}: %{{y:.1%}}<extra></extra>",
            )
            mean, low, high = share_interval(part[strip.column])
            figure.add_scatter(
                x=[place + offset + 0.05],
                y=[mean],
                mode="markers",
                error_y=error_bar(mean, low, high, color),
                marker=marker | {"size": 10, "line": {"color": color, "width": 2.2}},
                showlegend=False,
                hovertemplate=f"{name}, {strip.name}<br>mean %{{y:.1%}}<extra></extra>",
            )
    figure.update_xaxes(categories(shown))
    for border in range(1, len(shown)):
        figure.add_vline(border - 0.5, line={"color": GRID, "width": 1})
    figure.update_yaxes(share_axis(title))
    return figure

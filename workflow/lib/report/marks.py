"""Marks and lines that figures share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.experiments.statistics import mean_interval
from lib.report.methods import Look
from lib.report.style import FAINT, INK

LONGEST_LINE = 400


def share_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of shares with its 95 % interval, cut to what is possible."""
    mean, low, high = mean_interval(values)
    return mean, max(low, 0.0), min(high, 1.0)


def error_bar(mean: float, low: float, high: float, color: str) -> dict:
    """An interval in plotly's words; nothing where there is none."""
    above, below = (
        0.0 if math.isnan(length) else max(length, 0.0) for length in (high - mean, mean - low)
    )
    return {
        "type": "data",
        "symmetric": False,
        "array": [above],
        "arrayminus": [below],
        "color": color,
        "thickness": 1.8,
        "width": 4,
    }


def dots(color: str, symbol: str, size: float = 8, edge: str = "#ffffff", **more: object) -> dict:
    """A marker with a thin edge in plotly's words."""
    line = {"color": edge, "width": 0.7}
    return {"color": color, "symbol": symbol, "size": size, "line": line, **more}


def legend_mark(figure: go.Figure, look: Look, name: str, **more: object) -> None:
    """An entry of the legend without a mark of its own."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        name=look.label,
        legendgroup=name,
        marker=dots(look.color, look.symbol, 9),
        **more,
    )


def diagonal(figure: go.Figure) -> None:
    """The line on which both axes have the same value."""
    figure.add_scatter(
        x=[-1, 2],
        y=[-1, 2],
        mode="lines",
        line={"color": FAINT, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )


def middle_band(figure: go.Figure, low: pd.Series, high: pd.Series, color: str) -> None:
    """The area between two curves over the same places, faint."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    figure.add_scatter(
        x=np.concatenate([low.index, low.index[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        mode="lines",
        line={"width": 0},
        fillcolor=f"rgba({red},{green},{blue},0.13)",
        hoverinfo="skip",
        showlegend=False,
    )


def level_line(figure: go.Figure, value: float, last: float, look: Look, **more: object) -> None:
    """A level from 0 to `last`."""
    figure.add_scatter(
        x=[0, last],
        y=[value, value],
        mode="lines",
        name=look.label,
        line=look.line,
        hovertemplate=f"{look.label}: %{{y:.1%}}<extra></extra>",
        **more,
    )


def colour_bar(title: str, **more: object) -> dict:
    """A colour bar below the axes, in plotly's words."""
    return {
        "orientation": "h",
        "y": -0.02,
        "yanchor": "top",
        "thickness": 12,
        "len": 0.9,
        "title": {"text": title, "side": "bottom", "font": {"size": 13}},
        **more,
    }


def categories(texts: Sequence[str]) -> dict:
    """A horizontal axis with a place for each text, from 0."""
    return {
        "tickvals": list(range(len(texts))),
        "ticktext": list(texts),
        "range": [-0.5, len(texts) - 0.5],
        "showgrid": False,
        "ticks": "",
    }


def rows(texts: Sequence[str], **more: object) -> dict:
    """A vertical axis with a row for each text, from 0 downwards: -1, -2, ..."""
    places = [-place for place in range(len(texts))]
    return {
        "tickvals": places,
        "ticktext": list(texts),
        "range": [0.5 - len(texts), 0.5],
        "showgrid": False,
        "ticks": "",
        **more,
    }


def thin(frame: pd.DataFrame, x: str, y: str, longest: int = LONGEST_LINE) -> pd.DataFrame:
    """Shorten a curve to `longest` points by averaging neighbours; shorter ones stay as is."""
    if len(frame) <= longest:
        return frame
    block = np.arange(len(frame)) * longest // len(frame)
    return frame.groupby(block)[[x, y]].mean()


def first_seed(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the first seed, and a sentence that says so if there are several."""
    seeds = frame["seed"].drop_duplicates()
    several = f" Shown: seed {seeds.iloc[0]}, one of {len(seeds)}." if len(seeds) > 1 else ""
    return frame[frame["seed"] == seeds.iloc[0]], several


def made_of(look: Look, made: bool) -> dict:
    """Marker of a network: dark edge if a latent space made it."""
    return dots(look.color, look.symbol, edge=INK if made else "#ffffff", opacity=0.8)


def count_of(number: int, word: str) -> str:
    """A number with its word: "1 pair", "3 pairs"."""
    return f"{number} {word if number == 1 else word + 's'}"

"""One look for all figures: a color and a symbol per architecture, layout, number formats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

INK = "#1d2530"
MUTED = "#5f6b7a"
GRID = "#e4e7ec"
FAINT = "#aeb6c1"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', Arial, sans-serif"

# Told apart with any kind of color vision (simulated), each at least 2.9:1 against white.
COLORS = ("#332288", "#C58A00", "#117733", "#AA3377", "#3F97D2", "#6B4C2A", "#5B5B5B")
TERM_COLORS = ("#1d2530", "#3F97D2", "#B3541E", "#5C7F1B", "#8A6BBE", "#8c95a1", "#C23B5A")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "pentagon")
SEQUENTIAL = "Cividis"
PERCENT = "\u00a0%"


class Palette:
    """Color and symbol of each architecture, the same in every figure of a page."""

    def __init__(self, architectures: Sequence[str]) -> None:
        self.architectures = tuple(architectures)

    def color(self, architecture: str) -> str:
        """Color of an architecture; grey for a name that is not of this study."""
        return self._pick(COLORS, architecture, MUTED)

    def symbol(self, architecture: str) -> str:
        """Marker symbol of an architecture, so that color is never the only sign."""
        return self._pick(SYMBOLS, architecture, "x")

    def _pick(self, choices: Sequence[str], architecture: str, other: str) -> str:
        if architecture not in self.architectures:
            return other
        return choices[self.architectures.index(architecture) % len(choices)]


def percent(value: float, digits: int = 1) -> str:
    """A share in [0, 1] as text: 0.964 is "96.4 %" (unbroken); NaN is a dash."""
    return f"{plain(100 * value, digits)}{PERCENT}" if math.isfinite(value) else "–"


def points(value: float, digits: int = 1) -> str:
    """A difference of two shares in percentage points, always with its sign."""
    if not math.isfinite(value):
        return "–"
    text = plain(100 * value, digits)
    return text if text.startswith("−") or float(text) == 0 else f"+{text}"


def interval(low: float, high: float, form=percent, digits: int = 1) -> str:
    """A confidence interval as text; empty where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return (
        f"{form(low, digits).removesuffix(PERCENT)} to {form(high, digits).removesuffix(PERCENT)}"
    )


def points_of(share: float) -> str:
    """A share as unsigned points: 0.031 is "3.1 points"."""
    return f"{100 * share:.1f} points"


def with_spread(mean: str, spread: str) -> str:
    """A mean with its interval in brackets, where there is one."""
    return f"{mean} ({spread})" if spread else mean


def plain(value: float, digits: int) -> str:
    """A number as text with a true minus sign; zero never has one."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) != 0 else text.removeprefix("-")


def layout(height: int, **changes: object) -> go.Layout:
    """The common layout of all figures; `changes` are plotly layout keys."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": FAINT,
        "ticks": "outside",
        "tickcolor": FAINT,
        "ticklen": 4,
        "automargin": True,
        "title": {"font": {"size": 13, "color": MUTED}, "standoff": 8},
    }
    base = go.Layout(
        height=height,
        template=go.layout.Template(),
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 8, "r": 16, "t": 8, "b": 8},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="#ffffff",
        dragmode=False,
        hovermode="closest",
        hoverlabel={"bgcolor": "#ffffff", "font": {"family": FONT, "size": 13, "color": INK}},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 13},
            "itemsizing": "constant",
        },
        xaxis=axis,
        yaxis=axis,
    )
    return base.update(changes)


def share_axis(title: str, **changes: object) -> dict:
    """An axis of shares in [0, 1], shown in percent."""
    return {"title": {"text": title}, "tickformat": ".1~%", "hoverformat": ".1%", **changes}

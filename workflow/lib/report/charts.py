"""Curves of shares over a few sizes: on a page, and as an SVG picture for documents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import plotly.graph_objects as go

from lib.report.blocks import Figure
from lib.report.methods import Look
from lib.report.style import FAINT, FONT, GRID, INK, MUTED, layout

WIDTH, PLOT, ROW = 640, 300, 22  # of a picture, in pixels: all of it, height of the axes, legend
LEFT, RIGHT, TOP, BELOW = 64, 16, 40, 56
DASHES = {"dash": "8 5", "dot": "2 4", "dashdot": "8 4 2 4"}


@dataclass(frozen=True)
class Curve:
    """Shares by size; a `level` is the same at all sizes, and has one value."""

    look: Look
    values: Mapping[float, float]
    level: bool = False


@dataclass(frozen=True)
class Chart:
    """Some curves over one axis of sizes, which is logarithmic; that of shares if so said."""

    id: str
    title: str
    label: str
    sizes: str
    shares: str
    curves: Sequence[Curve]
    caption: str
    source: str
    logarithmic: bool = False

    @property
    def ticks(self) -> list[float]:
        """Every size that a curve has a value for."""
        return sorted({x for curve in self.curves if not curve.level for x in curve.values})

    @property
    def marks(self) -> list[float]:
        """Round shares below, among and above those of all curves."""
        found = [y for curve in self.curves for y in curve.values.values() if math.isfinite(y)]
        low, high = min(found), max(found)
        if self.logarithmic:
            steps = [m * 10.0**e for e in range(-5, 1) for m in (1, 2, 5)]
        else:
            unit = next(u for u in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / u <= 7)
            steps = [round(unit * k, 2) for k in range(round(1 / unit) + 1)]
        first = max((k for k, step in enumerate(steps) if step <= low), default=0)
        last = next((k for k, step in enumerate(steps) if step >= high), len(steps) - 1)
        return steps[first : max(last, first + 1) + 1]


def figure(chart: Chart) -> Figure:
    """The chart on a page."""
    drawn, ticks, marks = go.Figure(layout=layout(420)), chart.ticks, chart.marks
    for curve in chart.curves:
        look, points = curve.look, _points(curve, ticks)
        drawn.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="lines" if curve.level else "lines+markers",
            name=look.label,
            line=look.line,
            marker={"symbol": look.symbol, "size": 8},
            hovertemplate=f"{look.label}<br>%{{x}}: %{{y:.1%}}<extra></extra>",
        )
    ends = [marks[0], marks[-1]]
    if chart.logarithmic:
        ends = [math.log10(mark) for mark in ends]
    drawn.update_xaxes(
        title={"text": chart.sizes}, type="log", tickvals=ticks, ticktext=[f"{x:,}" for x in ticks]
    )
    drawn.update_yaxes(
        title={"text": chart.shares},
        type="log" if chart.logarithmic else "linear",
        range=ends,
        tickvals=marks,
        ticktext=[_percent(mark) for mark in marks],
    )
    return Figure(chart.id, drawn, chart.label, chart.caption, chart.source, chart.title)


def svg(chart: Chart) -> str:
    """The chart as a picture of its own, without its caption."""
    ticks, marks = chart.ticks, chart.marks
    scale = math.log if chart.logarithmic else float

    def across(x: float) -> float:
        share = math.log(x / ticks[0]) / max(math.log(ticks[-1] / ticks[0]), 1e-9)
        return LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24)

    def down(y: float) -> float:
        ends = scale(marks[0]), scale(marks[-1])
        return TOP + PLOT * (ends[1] - scale(y)) / (ends[1] - ends[0])

    parts = [_text(LEFT, 20, chart.title, "start", INK, 15)]
    for mark in marks:
        parts.append(_line([(LEFT, down(mark)), (WIDTH - RIGHT, down(mark))], GRID))
        parts.append(_text(LEFT - 8, down(mark) + 4, _percent(mark), "end"))
    for tick in ticks:
        parts.append(_line([(across(tick), TOP + PLOT), (across(tick), TOP + PLOT + 5)], FAINT))
        parts.append(_text(across(tick), TOP + PLOT + 20, f"{tick:,}", "middle"))
    parts.append(_text(WIDTH / 2, TOP + PLOT + 42, chart.sizes, "middle"))
    for number, curve in enumerate(chart.curves):
        look = curve.look
        places = [(across(x), down(y)) for x, y in _points(curve, ticks) if math.isfinite(y)]
        row, column = divmod(number, 2)
        x, y = LEFT + column * (WIDTH - LEFT) / 2, TOP + PLOT + BELOW + ROW * (row + 0.5)
        parts.append(_line(places, look.color, look.line["width"], look.dash))
        parts.append(_line([(x, y), (x + 36, y)], look.color, look.line["width"], look.dash))
        parts += [] if curve.level else [_mark(*at, look) for at in (*places, (x + 18, y))]
        parts.append(_text(x + 44, y + 4, look.label, "start", INK))
    height = TOP + PLOT + BELOW + ROW * math.ceil(len(chart.curves) / 2) + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family={quoteattr(FONT)} font-size="13" role="img" '
        f"aria-label={quoteattr(chart.label)}>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        + "".join(f"{part}\n" for part in parts)
        + "</svg>\n"
    )


def _points(curve: Curve, ticks: Sequence[float]) -> list[tuple[float, float]]:
    if curve.level:
        (share,) = curve.values.values()
        return [(ticks[0], share), (ticks[-1], share)]
    return sorted(curve.values.items())


def _percent(share: float) -> str:
    return f"{100 * share:g}\u00a0%"


def _line(
    places: Sequence[tuple[float, float]], color: str, width: float = 1, dash: str = "solid"
) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    pattern = f' stroke-dasharray="{DASHES[dash]}"' if dash in DASHES else ""
    drawn = f'fill="none" stroke="{color}" stroke-width="{width}"{pattern}'
    return f'<polyline points="{points}" {drawn}/>'


def _mark(x: float, y: float, look: Look) -> str:
    """A sign of the curve: those that plotly has other names for are drawn as a circle."""
    corners = {
        "square": ((-4, -4), (4, -4), (4, 4), (-4, 4)),
        "diamond": ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)),
        "triangle-up": ((0, -5), (5, 4), (-5, 4)),
    }.get(look.symbol)
    if corners is None:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{look.color}"/>'
    points = " ".join(f"{x + across:.1f},{y + down:.1f}" for across, down in corners)
    return f'<polygon points="{points}" fill="{look.color}"/>'


def _text(x: float, y: float, text: str, anchor: str, color: str = MUTED, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" '
        f'font-size="{size}">{escape(text)}</text>'
    )

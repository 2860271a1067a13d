"""The zoo benchmark as a page that needs no network: figures, and the table they are drawn from."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import plotly.io
import plotly.offline

from lib.report.assets import TEMPLATES
from lib.report.style import COLORS, INK, MUTED, SYMBOLS, Palette, layout, percent

if TYPE_CHECKING:
    from lib.bench.growth import Growth
    from lib.bench.row import Row

KERNELS = ("sequential", "vmap", "compiled")
DASHES = {"vmap": "dot", "compiled": "solid"}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Benchmark of the zoo engine</title>
<style>{style}</style>
<script>{plotly}</script>
</head>
<body><main class="wrap"><h1>Benchmark of the zoo engine</h1>
<p class="lead">{lead}</p>
{figures}
<section><h2>All rows</h2><p class="note">* the baseline</p>
<div class="table-box">{table}</div></section>
</main></body>
</html>
"""


def render(rows: Sequence[Row], grown: Sequence[Growth]) -> str:
    """The page."""
    first = rows[0]
    lead = (
        f"{first.cpu}, {first.processes} processes, one on each core; {first.date}. Baseline: the "
        "fastest loop over single networks that torch gave, in the same run. "
        "docs/results/speed.md says what is counted."
    )
    parts = [
        ("Networks per hour", by_subject(rows, "networks_per_hour", "Networks per hour"), ""),
        (
            "Against the sequential loop",
            by_subject(rows, "ratio_to_sequential", "Times as fast as the fastest loop"),
            "Medians over turns that alternate.",
        ),
        (
            "Share of the machine's multiply-adds",
            by_subject(rows, "share_of_peak", "Share of peak"),
            f"Peak: {first.peak_multiply_adds / 1e9:.0f} billion multiply-adds a second.",
        ),
        (
            "Memory",
            memory(rows),
            "What a process grew by, over the networks it held. Solid: compiled; dotted: vmap.",
        ),
        (
            "From ten networks on",
            growth(grown),
            "Whole training jobs on one core: everything from initialisation to checkpoints.",
        ),
    ]
    return PAGE.format(
        style=(TEMPLATES / "style.css").read_text(),
        plotly=plotly.offline.get_plotlyjs(),
        lead=html.escape(lead),
        figures="\n".join(_section(*part) for part in parts),
        table=_table(rows),
    )


def by_subject(rows: Sequence[Row], measure: str, title: str) -> go.Figure:
    """A measure of the best of each kind of kernels, one line of marks for each subject."""
    names = list(dict.fromkeys(map(_subject, rows)))
    figure = go.Figure(layout=layout(110 + 44 * len(names)))
    for kind, color, symbol in zip(KERNELS, COLORS, SYMBOLS, strict=False):
        best = [row for row in _best(rows) if row.kernels == kind]
        figure.add_scatter(
            x=[getattr(row, measure) for row in best],
            y=[_subject(row) for row in best],
            mode="markers",
            name=kind,
            marker={"size": 12, "color": color, "symbol": symbol},
            text=[_hover(row) for row in best],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(type="log", title={"text": title}, dtick="D2", tickformat="~g")
    if measure == "networks_per_hour":
        figure.update_xaxes(dtick=1, tickformat="~s")
    if measure == "share_of_peak":
        figure.update_xaxes(type="linear", rangemode="tozero", dtick=None, tickformat=".0%")
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    return figure


def memory(rows: Sequence[Row]) -> go.Figure:
    """Bytes per network by ensemble size; solid lines are compiled kernels, dotted ones vmap."""
    figure = go.Figure(layout=layout(420))
    palette = Palette(list(dict.fromkeys(map(_subject, rows))))
    for (subject, kind), part in _groups(rows, lambda row: (_subject(row), row.kernels)):
        part = [row for row in part if row.bytes_per_network]
        if kind not in DASHES or not part:
            continue
        figure.add_scatter(
            x=[row.ensemble_size for row in part],
            y=[row.bytes_per_network / 1e6 for row in part],
            mode="lines+markers",
            name=subject,
            legendgroup=subject,
            showlegend=kind == "compiled",
            line={
                "color": palette.color(subject),
                "dash": "solid" if kind == "compiled" else "dot",
            },
            marker={"symbol": palette.symbol(subject), "size": 9},
            text=[_hover(row) for row in part],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(type="log", title={"text": "Networks at once"}, dtick=1)
    figure.update_yaxes(type="log", title={"text": "MB per network"}, tickformat="~g")
    return figure


def growth(grown: Sequence[Growth]) -> go.Figure:
    """Time of a job by its number of networks, and the line of equal cost each."""
    figure = go.Figure(layout=layout(340))
    sizes, last = [row.networks for row in grown], grown[-1]
    each = last.seconds / last.networks
    figure.add_scatter(
        x=sizes,
        y=[each * size for size in sizes],
        mode="lines",
        name="in proportion",
        line={"color": MUTED, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=sizes,
        y=[row.seconds for row in grown],
        mode="lines+markers",
        name=f"{last.architecture}, {last.epochs} epochs",
        line={"color": INK},
        marker={"size": 9},
        text=[f"{row.ms_per_network_epoch:.2f} ms per network and epoch" for row in grown],
        hovertemplate="%{x:,} networks: %{y:.1f} s<br>%{text}<extra></extra>",
    )
    figure.update_xaxes(type="log", title={"text": "Networks"}, dtick=1)
    figure.update_yaxes(type="log", title={"text": "Seconds"}, tickformat="~g")
    return figure


def _subject(row: Row) -> str:
    return f"{row.architecture}<br>{row.dataset}"


def _hover(row: Row) -> str:
    return (
        f"{_subject(row)}<br>{row.kernels} {row.variant}, {row.ensemble_size} at once<br>"
        f"{row.networks_per_hour:,.0f} networks per hour, {row.ratio_to_sequential:.2f} times the "
        f"loop<br>{row.ms_per_network_step:.3f} ms a step, {percent(row.share_of_peak)} of peak"
    )


def _best(rows: Iterable[Row]) -> list[Row]:
    groups = _groups(rows, lambda row: (_subject(row), row.kernels))
    return [max(part, key=lambda row: row.networks_per_hour) for _, part in groups]


def _groups(rows: Iterable[Row], key: Callable[[Row], tuple]) -> list[tuple[tuple, list[Row]]]:
    found: dict[tuple, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.items())


def _section(title: str, figure: go.Figure, note: str) -> str:
    drawn = plotly.io.to_html(
        figure, include_plotlyjs=False, full_html=False, config={"displayModeBar": False}
    )
    return f"<section><h2>{html.escape(title)}</h2>{drawn}<p class='note'>{note}</p></section>"


def _table(rows: Sequence[Row]) -> str:
    columns: dict[str, Callable[[Row], str]] = {
        "Architecture": lambda row: row.architecture,
        "Data": lambda row: row.dataset,
        "Kernels": lambda row: f"{row.kernels} {row.variant}{' *' if row.baseline else ''}",
        "At once": lambda row: f"{row.ensemble_size}",
        "Networks/h": lambda row: f"{row.networks_per_hour:,.0f}",
        "Ratio": lambda row: f"{row.ratio_to_sequential:.2f}",
        "ms/step": lambda row: f"{row.ms_per_network_step:.3f}",
        "Of peak": lambda row: percent(row.share_of_peak),
        "MB each": lambda row: f"{(row.bytes_per_network or 0) / 1e6:.2f}",
        "Ready after": lambda row: f"{row.setup_seconds:.1f} s",
    }
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(show(row))}</td>' for show in columns.values())}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

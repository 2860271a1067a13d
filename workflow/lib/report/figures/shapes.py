"""Figures of the report on shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Figure
from lib.report.scenes import color_of
from lib.report.shape_style import label
from lib.report.style import COLORS, GRID, INK, SYMBOLS, layout, line

SPLITS = ("train", "validation", "test")
MARKS = 1500  # of a figure, at most: a page is to stay small


def strip(frame: pd.DataFrame, column: str, name: str, title: str, share: bool) -> go.Figure:
    """Each shape (or mesh) as a dot, the mean with its interval beside it, by method."""
    figure = go.Figure(layout=layout(340, showlegend=False))
    who = "shape" if "shape" in frame else "mesh"
    for place, (method, rows) in enumerate(frame.groupby("method", sort=False)):
        color, rows = color_of(method), rows.dropna(subset=[column])
        some = rows[:MARKS]
        form = ":.1%" if share else ":.4f"
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
    methods = list(dict.fromkeys(frame["method"]))
    names = [label(method).replace(" ", "<br>") for method in methods]
    figure.update_xaxes(
        tickvals=list(range(len(methods))),
        ticktext=names,
        tickangle=0,
        range=[-0.6, len(methods) - 0.4],
    )
    figure.update_yaxes(title={"text": title}, rangemode="tozero")
    if share:
        figure.update_yaxes(tickformat=".0%", range=[0, 1])
    return figure


def answer(shapes: pd.DataFrame) -> list[Figure]:
    """IoU and Chamfer distance of every test shape, by method."""
    return [
        Figure(
            "fig-iou",
            strip(shapes, "iou", "IoU", "IoU with the original", share=True),
            "IoU with the original mesh for each test shape, by method",
            "Each dot is a test shape, each ring the mean with its 95 % interval.",
            "reconstruction",
            "Volume in common with the original",
        ),
        Figure(
            "fig-chamfer",
            strip(shapes, "chamfer", "Chamfer distance", "Chamfer distance", share=False),
            "Chamfer distance to the original mesh for each test shape, by method",
            "Lower is better; shapes are 1.8 long.",
            "reconstruction",
            "Distance to the original",
        ),
    ]


def latent_map(frame: pd.DataFrame) -> Figure:
    """All shapes in two dimensions of the first seed's latents; hovering shows their pictures."""
    every = frame[frame["seed"] == frame["seed"].iloc[0]]
    # Test shapes are last and fewest; training shapes give way to them.
    rows, figure = every[-MARKS:], go.Figure(layout=layout(520))
    few = f" The last {MARKS:,} of {len(every):,} shapes." if len(every) > MARKS else ""
    for split, color, symbol in zip(SPLITS, COLORS, SYMBOLS, strict=False):
        part = rows[rows["split"] == split]
        if part.empty:
            continue
        figure.add_scatter(
            x=part["x"],
            y=part["y"],
            mode="markers",
            name=split,
            marker={
                "size": 11,
                "color": color,
                "symbol": symbol,
                "opacity": 0.8,
                "line": {"color": "#ffffff", "width": 1},
            },
            customdata=[f"original/{shape}" for shape in part["shape"]],
            text=[
                f"{shape} ({split})<br>IoU of its field {iou:.1%}"
                for shape, iou in zip(part["shape"], part["iou"], strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    for axis, title in (("x", "First"), ("y", "Second")):
        figure.update_layout({f"{axis}axis.title.text": f"{title} principal component"})
    figure.update_xaxes(zeroline=True, zerolinecolor=GRID)
    return Figure(
        "fig-latent-map",
        figure,
        "All shapes in two principal components of the latent space, by split",
        f"Each mark is a shape. Hovering, or a tap, shows it.{few}",
        "latent_map",
    )


def ways(frame: pd.DataFrame) -> Figure:
    """How far the shapes on the way between two test shapes are from any training shape."""
    figure = go.Figure(layout=layout(340))
    methods: Sequence[str] = list(dict.fromkeys(frame["method"]))
    for method in methods:
        for number, (pair, rows) in enumerate(frame[frame["method"] == method].groupby("pair")):
            rows = rows.sort_values("gamma")
            figure.add_scatter(
                x=rows["gamma"],
                y=rows["chamfer"],
                mode="lines+markers",
                name=label(method),
                legendgroup=method,
                showlegend=number == 0,
                line=line(method) | {"color": INK if method == "latent" else color_of(method)},
                marker={"size": 7, "symbol": SYMBOLS[number % len(SYMBOLS)]},
                text=rows["nearest"],
                hovertemplate=f"pair {pair}, %{{x:.2f}} along<br>nearest: %{{text}}, %{{y:.4f}}"
                "<extra></extra>",
            )
    figure.update_xaxes(title={"text": "How far along"}, tickformat=".0%")
    figure.update_yaxes(title={"text": "Chamfer distance"}, rangemode="tozero")
    return Figure(
        "fig-interpolation",
        figure,
        "Chamfer distance to the nearest training shape along the ways between test shapes",
        "One line for each pair and way. A point without a surface is left out.",
        "interpolation",
        "Distance to the nearest training shape",
    )


def novelty(frame: pd.DataFrame) -> Figure:
    """How far new shapes are from any training shape, beside real ones that were never seen."""
    return Figure(
        "fig-sampling",
        strip(frame, "chamfer", "Chamfer distance", "Chamfer distance", share=False),
        "Chamfer distance of new shapes to the nearest training shape, by method",
        "Each dot is a shape. Near zero: a training shape again. As far as real shapes that were "
        "never seen, and in one piece: new.",
        "sampling",
        "Distance to the nearest training shape",
    )

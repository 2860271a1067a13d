"""Figures that lay all networks of an architecture in a strip: the answer, and the zoo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Figure
from lib.report.style import MUTED, Palette, layout, percent, share_axis

CONTROL = "constant"


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
            mean, low, high = mean_interval(part[strip.column])
            low, high = max(low, 0.0), min(high, 1.0)  # a share; few networks give wide intervals
            figure.add_scatter(
                x=[place + offset + 0.05],
                y=[mean],
                mode="markers",
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [np.nan_to_num(high - mean)],
                    "arrayminus": [np.nan_to_num(mean - low)],
                    "color": color,
                    "thickness": 1.8,
                    "width": 4,
                },
                marker=marker | {"size": 10, "line": {"color": color, "width": 2.2}},
                showlegend=False,
                hovertemplate=f"{name}, {strip.name}<br>mean %{{y:.1%}}<extra></extra>",
            )
    figure.update_xaxes(
        tickvals=list(range(len(shown))),
        ticktext=shown,
        range=[-0.5, len(shown) - 0.5],
        showgrid=False,
        ticks="",
    )
    for border in range(1, len(shown)):
        figure.add_vline(border - 0.5, line={"color": "#e4e7ec", "width": 1})
    figure.update_yaxes(share_axis(title))
    return figure


def answer_accuracy(networks: pd.DataFrame, palette: Palette) -> Figure:
    """Test accuracy of the original, the decoded and the constant networks, per architecture."""
    decoded = networks[networks["method"] == "decoded"]
    constant = networks[networks["method"] == CONTROL]
    columns = [
        Strip("original", decoded, "target_accuracy", hollow=True),
        Strip("decoded", decoded, "accuracy"),
        Strip("one constant network", constant, "accuracy", control=True),
    ]
    return Figure(
        "fig-answer-accuracy",
        strips(columns, palette, "Test accuracy"),
        "Test accuracy of original, decoded and constant networks, per architecture.",
        "Hollow: the trained network. Filled: the same network after the latent space. Grey: the "
        "control, one constant network per architecture. Large marks are means with 95 % "
        "intervals.",
        "reconstruction",
        "Does it still work?",
    )


def answer_agreement(networks: pd.DataFrame, palette: Palette) -> Figure:
    """Agreement of decoded networks with their own target and with others, and the control's."""
    decoded = networks[networks["method"] == "decoded"]
    constant = networks[networks["method"] == CONTROL]
    columns = [
        Strip("with other targets", decoded, "agreement_other", hollow=True),
        Strip("with its own target", decoded, "agreement"),
        Strip("one constant network with that target", constant, "agreement", control=True),
    ]
    return Figure(
        "fig-answer-agreement",
        strips(columns, palette, "Same answer on test images"),
        "Agreement of decoded networks with their own target and with other targets.",
        "Filled: how often a decoded network answers like its own target. Hollow: like other "
        "targets of the same architecture. Grey: how often the constant network answers like "
        "the target. Filled above the other two means the individual is kept.",
        "reconstruction",
        "Is it still the same network?",
    )


def zoo(catalogue: pd.DataFrame, palette: Palette) -> Figure:
    """Validation accuracy of all trained networks, per architecture and split."""
    good = catalogue[catalogue["status"] == "ok"]
    splits = [part for part in ("train", "validation", "test") if part in set(good["split"])]
    count = len(palette.architectures)
    figure = go.Figure(layout=layout(48 * count + 70))
    for place, name in enumerate(palette.architectures):
        part = good[good["architecture"] == name]
        row = part["split"].map({split: number for number, split in enumerate(splits)})
        figure.add_scatter(
            x=part["validation_accuracy"],
            y=count - place + 0.22 * (1 - row.to_numpy(dtype=float)),
            mode="markers",
            marker={
                "symbol": palette.symbol(name),
                "color": palette.color(name),
                "size": 7,
                "opacity": 0.6,
            },
            showlegend=False,
            text=part["network"] + " (" + part["split"] + ")",
            hovertemplate="%{text}<br>validation accuracy %{x:.1%}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=[count - place for place in range(count)],
        ticktext=list(palette.architectures),
        showgrid=False,
        ticks="",
    )
    figure.update_xaxes(share_axis("Validation accuracy"))
    median = percent(good["validation_accuracy"].median())
    return Figure(
        "fig-zoo",
        figure,
        "Validation accuracy of all trained networks, one row of marks per split.",
        f"Rows of an architecture from top to bottom: {', '.join(splits)} networks. Half of "
        f"all networks reach {median} or more.",
        "catalogue",
    )

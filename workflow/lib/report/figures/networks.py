"""Figures in which a mark is a network: the map, accuracies, agreements."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Choice, Control, Figure
from lib.report.style import (
    FAINT,
    INK,
    MUTED,
    SEQUENTIAL,
    Palette,
    layout,
    method_label,
    share_axis,
)

WRONG = "predicted wrong"


def latent_map(frame: pd.DataFrame, palette: Palette) -> tuple[Figure, Control]:
    """All networks in two dimensions, colored by architecture or by validation accuracy."""
    figure = go.Figure(layout=layout(460))
    seeds = frame["seed"].drop_duplicates()
    frame = frame[frame["seed"] == seeds.iloc[0]]
    low, high = frame["validation_accuracy"].min(), frame["validation_accuracy"].max()
    for by_accuracy in (False, True):
        for name in palette.architectures:
            part = frame[frame["architecture"] == name]
            test = (part["split"] == "test").to_numpy()
            marker = {
                "symbol": palette.symbol(name),
                "size": np.where(test, 11, 8),
                "opacity": np.where(test, 1.0, 0.7),
                "line": {"color": INK, "width": np.where(test, 1.4, 0.0)},
            }
            if by_accuracy:
                marker |= {
                    "color": part["validation_accuracy"].to_numpy(),
                    "coloraxis": "coloraxis",
                    "opacity": 0.9,
                }
            else:
                marker["color"] = palette.color(name)
            figure.add_scatter(
                x=part["x"],
                y=part["y"],
                mode="markers",
                name=name,
                marker=marker,
                visible=not by_accuracy,
                showlegend=not by_accuracy,
                customdata=part[
                    ["network", "split", "validation_accuracy", "predicted_architecture"]
                ].to_numpy(dtype=object),
                hovertemplate=(
                    "<b>%{customdata[0]}</b> (%{customdata[1]})<br>validation accuracy "
                    "%{customdata[2]:.1%}<br>decoded as %{customdata[3]}<extra></extra>"
                ),
            )
    # A legend entry cannot take its color from a scale, so the symbols get entries of their own.
    for name in palette.architectures:
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=name,
            marker={"symbol": palette.symbol(name), "color": MUTED, "size": 9},
            visible=False,
        )
    figure.update_layout(
        coloraxis={
            "colorscale": SEQUENTIAL,
            "cmin": low,
            "cmax": high if high > low else low + 1e-3,
            "colorbar": {
                "orientation": "h",
                "y": -0.02,
                "yanchor": "top",
                "thickness": 12,
                "len": 0.9,
                "tickformat": ".0%",
                "nticks": 6,
                "title": {"text": "Validation accuracy", "side": "bottom"},
            },
        }
    )
    figure.update_xaxes(showticklabels=False, ticks="", title=None)
    figure.update_yaxes(showticklabels=False, ticks="", title=None)
    count = len(palette.architectures)
    choices = [
        Choice("Architecture", {"fig-latent-map": [True] * count + [False] * 2 * count}),
        Choice("Accuracy", {"fig-latent-map": [False] * count + [True] * 2 * count}),
    ]
    several = f" Shown: seed {seeds.iloc[0]}, one of {len(seeds)}." if len(seeds) > 1 else ""
    return (
        Figure(
            "fig-latent-map",
            figure,
            "Map of all networks' latents in two dimensions.",
            "Each mark is a network. The axes are the directions in which the architectures' mean "
            "latents differ most (training networks); they have no unit. Outlined marks are "
            f"test networks, never seen in training.{several}",
            "latent_map",
        ),
        Control("control-latent-map", "Colour by", choices),
    )


def scatter_networks(networks: pd.DataFrame, palette: Palette) -> tuple[Figure, Figure, Control]:
    """Target against decoded accuracy, and own against other agreement, method by method."""
    accuracy = _diagonal(
        networks, palette, "target_accuracy", "accuracy", "Target's test accuracy", "Test accuracy"
    )
    agreement = _diagonal(
        networks,
        palette,
        "agreement_other",
        "agreement",
        "Agreement with other targets",
        "Agreement with own target",
    )
    axes = {
        "fig-accuracy-scatter": ("target_accuracy", "accuracy"),
        "fig-agreement-scatter": ("agreement_other", "agreement"),
    }
    methods = _methods(networks)
    per_method = len(palette.architectures) + 1  # and those of a wrong architecture
    choices = []
    for method in methods:
        visible = [True] + [other == method for other in methods for _ in range(per_method)]
        ranges = {}
        for key, columns in axes.items():
            ends = _range(networks, methods[0], method, columns)
            ranges[key] = {"xaxis": ends, "yaxis": ends}
        choices.append(Choice(method_label(method), dict.fromkeys(axes, visible), ranges))
    return (
        Figure(
            "fig-accuracy-scatter",
            accuracy,
            "Scatter plot of each test network's accuracy before and after the latent space.",
            "On the line nothing is lost; below it accuracy is lost, above it gained.",
            "reconstruction",
            "Accuracy, network by network",
        ),
        Figure(
            "fig-agreement-scatter",
            agreement,
            "Scatter plot of agreement with the own target against agreement with others.",
            "Above the line the individual is kept. One constant network per architecture can "
            "only straddle the line, however accurate it is.",
            "reconstruction",
            "Own target against others",
        ),
        Control("control-method", "Networks shown", choices),
    )


def _diagonal(
    networks: pd.DataFrame, palette: Palette, x: str, y: str, x_title: str, y_title: str
) -> go.Figure:
    figure = go.Figure(layout=layout(440))
    methods = _methods(networks)
    ends = _range(networks, methods[0], methods[0], (x, y))
    figure.add_scatter(
        x=[-1, 2],
        y=[-1, 2],
        mode="lines",
        line={"color": FAINT, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    for method in methods:
        some = networks[networks["method"] == method]
        right, wrong = some[some["failed"] == 0], some[some["failed"] > 0]
        groups = [
            (name, right[right["architecture"] == name], palette.symbol(name))
            for name in palette.architectures
        ]
        for name, part, symbol in [*groups, (WRONG, wrong, "x")]:
            figure.add_scatter(
                x=part[x],
                y=part[y],
                mode="markers",
                name=name,
                visible=method == methods[0],
                showlegend=len(part) > 0,
                marker={
                    "symbol": symbol,
                    "size": 9,
                    "color": [palette.color(own) for own in part["architecture"]],
                    "opacity": 0.85,
                    "line": {"color": "#ffffff", "width": 0.7},
                },
                text=part["network"],
                hovertemplate=(
                    f"<b>%{{text}}</b>{'<br>' + WRONG if name == WRONG else ''}"
                    f"<br>{x_title.lower()} %{{x:.1%}}<br>{y_title.lower()} %{{y:.1%}}"
                    "<extra></extra>"
                ),
            )
    figure.update_xaxes(share_axis(x_title, range=ends))
    figure.update_yaxes(share_axis(y_title, range=ends))
    return figure


def _methods(networks: pd.DataFrame) -> list[str]:
    return sorted(dict.fromkeys(networks["method"]), key=lambda m: not m.startswith("decoded"))


def _range(
    networks: pd.DataFrame, first: str, method: str, columns: tuple[str, str]
) -> list[float]:
    """Ends of both axes: the values of a method and, to compare with, of the first one."""
    values = networks.loc[networks["method"].isin([first, method]), list(columns)].to_numpy()
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.06 * (high - low) + 0.002
    return [low - pad, high + pad]

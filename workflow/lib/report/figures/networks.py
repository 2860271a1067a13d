"""Figures in which a mark is a network: the answer, the map, accuracies, agreements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Choice, Control, Figure
from lib.report.style import (
    FAINT,
    INK,
    SEQUENTIAL,
    Palette,
    layout,
    method_label,
    percent,
    share_axis,
)

# Three columns inside an architecture's band: (offset, marker filled).
OFFSETS = (-0.26, 0.0, 0.26)


def strips(
    columns: Sequence[tuple[str, Mapping[str, pd.Series], bool]], palette: Palette, title: str
) -> go.Figure:
    """Every network as a dot, and the mean with its interval, per column and architecture.

    Args:
        columns: two or three of (name, values by architecture, filled).
        palette: architectures in order and their colors.
        title: what is on the vertical axis (a share).
    """
    figure = go.Figure(layout=layout(350))
    offsets = OFFSETS if len(columns) == 3 else (-0.18, 0.18)
    shown = [a for a in palette.architectures if any(a in values for _, values, _ in columns)]
    for (name, values, filled), offset in zip(columns, offsets, strict=True):
        for place, architecture in enumerate(shown):
            numbers = values.get(architecture)
            if numbers is None or len(numbers) == 0:
                continue
            color = palette.color(architecture)
            face = color if filled else "#ffffff"
            spread = np.linspace(-0.05, 0.05, len(numbers)) if len(numbers) > 1 else [0.0]
            figure.add_scatter(
                x=place + offset + np.asarray(spread),
                y=numbers.to_numpy(),
                mode="markers",
                marker={"size": 5, "color": face, "line": {"color": color, "width": 1}},
                opacity=0.45,
                showlegend=False,
                text=list(numbers.index),
                hovertemplate=f"%{{text}}<br>{name}: %{{y:.1%}}<extra></extra>",
            )
            mean, low, high = mean_interval(numbers)
            figure.add_scatter(
                x=[place + offset],
                y=[mean],
                mode="markers",
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [np.nan_to_num(high - mean)],
                    "arrayminus": [np.nan_to_num(mean - low)],
                    "color": color,
                    "thickness": 2,
                    "width": 5,
                },
                marker={"size": 11, "color": face, "line": {"color": color, "width": 2.5}},
                showlegend=False,
                hovertemplate=f"{architecture}, {name}<br>mean %{{y:.1%}}<extra></extra>",
            )
    figure.update_xaxes(
        tickvals=list(range(len(shown))),
        ticktext=shown,
        range=[-0.5, len(shown) - 0.5],
        showgrid=False,
        ticks="",
    )
    figure.update_yaxes(share_axis(title))
    return figure


def _by_architecture(networks: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    return {
        str(name): part.set_index("network")[column].sort_values()
        for name, part in networks.groupby("architecture")
    }


def answer_accuracy(networks: pd.DataFrame, palette: Palette) -> Figure:
    """Test accuracy of the original and of the decoded networks, per architecture."""
    decoded = networks[networks["method"] == "decoded"]
    columns = [
        ("original", _by_architecture(decoded, "target_accuracy"), False),
        ("decoded", _by_architecture(decoded, "accuracy"), True),
    ]
    return Figure(
        "fig-answer-accuracy",
        strips(columns, palette, "Test accuracy"),
        "Test accuracy of original and decoded networks, per architecture.",
        "Hollow: the trained network. Filled: the same network after the latent space. Small "
        "marks are networks, large ones means with 95 % intervals.",
        "reconstruction",
        "Does it still work?",
    )


def answer_agreement(networks: pd.DataFrame, palette: Palette) -> Figure:
    """Agreement of decoded networks with their own target and with others."""
    decoded = networks[networks["method"] == "decoded"]
    columns = [
        ("with others", _by_architecture(decoded, "agreement_other"), False),
        ("with its own", _by_architecture(decoded, "agreement"), True),
    ]
    return Figure(
        "fig-answer-agreement",
        strips(columns, palette, "Same answer on test images"),
        "Agreement of decoded networks with their own target and with other targets.",
        "Filled: how often a decoded network answers like its own target. Hollow: like other "
        "targets of the same architecture. A copy of the individual lies higher when filled.",
        "reconstruction",
        "Is it still the same network?",
    )


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
                customdata=part[
                    ["network", "split", "validation_accuracy", "predicted_architecture"]
                ].to_numpy(dtype=object),
                hovertemplate=(
                    "<b>%{customdata[0]}</b> (%{customdata[1]})<br>validation accuracy "
                    "%{customdata[2]:.1%}<br>decoded as %{customdata[3]}<extra></extra>"
                ),
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
        Choice("Architecture", {"fig-latent-map": [True] * count + [False] * count}),
        Choice("Accuracy", {"fig-latent-map": [False] * count + [True] * count}),
    ]
    several = f" Shown: seed {seeds.iloc[0]} of {len(seeds)}." if len(seeds) > 1 else ""
    return (
        Figure(
            "fig-latent-map",
            figure,
            "Map of all networks' latents in two dimensions.",
            "Each mark is a network; the two axes are the first principal components of the "
            "latents and have no unit. Outlined marks are test networks, never seen in "
            f"training.{several}",
            "latent_map",
        ),
        Control("control-latent-map", "Color by", choices),
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
    methods = list(dict.fromkeys(networks["method"]))
    methods.sort(key=lambda name: not name.startswith("decoded"))
    choices = []
    for method in methods:
        visible = [True] + [m == method for m in methods for _ in palette.architectures]
        ids = ("fig-accuracy-scatter", "fig-agreement-scatter")
        choices.append(Choice(method_label(method), dict.fromkeys(ids, visible)))
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
    figure = go.Figure(layout=layout(420))
    methods = list(dict.fromkeys(networks["method"]))
    methods.sort(key=lambda name: not name.startswith("decoded"))
    first = networks[networks["method"] == methods[0]]
    values = np.concatenate([first[x], first[y], networks[x]])
    low, high = np.nanmin(values), np.nanmax(values)
    pad = 0.06 * (high - low) + 0.002
    ends = [low - pad, high + pad]
    figure.add_scatter(
        x=[-1, 2],
        y=[-1, 2],
        mode="lines",
        line={"color": FAINT, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    for method in methods:
        for name in palette.architectures:
            part = networks[(networks["method"] == method) & (networks["architecture"] == name)]
            wrong = (part["failed"] > 0).to_numpy()
            figure.add_scatter(
                x=part[x],
                y=part[y],
                mode="markers",
                name=name,
                visible=method == methods[0],
                marker={
                    "symbol": np.where(wrong, "x", palette.symbol(name)),
                    "size": 9,
                    "color": palette.color(name),
                    "opacity": 0.85,
                    "line": {"color": "#ffffff", "width": 0.7},
                },
                text=[
                    f"<b>{network}</b>" + ("<br>wrong architecture predicted" if failed else "")
                    for network, failed in zip(part["network"], wrong, strict=True)
                ],
                hovertemplate=(
                    f"%{{text}}<br>{x_title.lower()} %{{x:.1%}}<br>"
                    f"{y_title.lower()} %{{y:.1%}}<extra></extra>"
                ),
            )
    figure.update_xaxes(share_axis(x_title, range=ends))
    figure.update_yaxes(share_axis(y_title))
    below = networks[y].min()
    if below >= ends[0] or not np.isfinite(below):
        figure.update_yaxes(range=ends)
    return figure


def zoo(catalogue: pd.DataFrame, palette: Palette) -> Figure:
    """Validation accuracy of all trained networks, per architecture and split."""
    good = catalogue[catalogue["status"] == "ok"]
    splits = [part for part in ("train", "validation", "test") if part in set(good["split"])]
    figure = go.Figure(layout=layout(max(150, 46 * len(palette.architectures) + 70)))
    for name in palette.architectures:
        part = good[good["architecture"] == name]
        order = part["split"].map({split: place for place, split in enumerate(splits)})
        figure.add_scatter(
            x=part["validation_accuracy"],
            y=np.full(len(part), len(palette.architectures) - palette.architectures.index(name))
            + 0.22 * (1 - order.to_numpy(dtype=float)),
            mode="markers",
            marker={
                "symbol": palette.symbol(name),
                "color": palette.color(name),
                "size": 7,
                "opacity": 0.6,
            },
            showlegend=False,
            text=[
                f"<b>{network}</b> ({split})"
                for network, split in zip(part["network"], part["split"], strict=True)
            ],
            hovertemplate="%{text}<br>validation accuracy %{x:.1%}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=[len(palette.architectures) - k for k in range(len(palette.architectures))],
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
        f"Three rows per architecture: {', '.join(splits)} networks from top to bottom. Half of "
        f"all networks reach {median} or more.",
        "catalogue",
    )


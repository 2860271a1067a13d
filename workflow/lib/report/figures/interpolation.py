"""Figures of the way between two networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report import style
from lib.report.blocks import Choice, Control, Figure
from lib.report.style import FAINT, Palette, layout, method_label, share_axis, short_label
from lib.report.summary import curves, inner_points


def _mark_inner(figure: go.Figure, palette: Palette) -> None:
    last = len(palette.architectures) - 1
    for number, (gamma, name) in enumerate(inner_points(palette.architectures), start=1):
        figure.add_vline(gamma, line={"color": FAINT, "width": 1, "dash": "dot"}, layer="below")
        figure.add_annotation(
            x=gamma,
            y=0,
            yref="paper",
            yanchor="bottom",
            xanchor="left",
            text=f" {number}/{last} {name}",
            font={"size": 11, "color": palette.color(name)},
            showarrow=False,
        )


def _gamma_axis(palette: Palette) -> dict:
    names = palette.architectures
    return {
        "title": {"text": f"from {names[0]} (0) to {names[-1]} (1)"},
        "range": [-0.015, 1.015],
        "tickvals": [0, 0.25, 0.5, 0.75, 1],
        "tickformat": ".2~f",
    }


def mean(frame: pd.DataFrame, palette: Palette, trained: Mapping[str, float]) -> Figure:
    """Mean accuracy along the way between the two extremes, with the spread over pairs."""
    whole = curves(frame, palette.architectures)
    figure = go.Figure(layout=layout(400, hovermode="x unified"))
    for method, part in whole.groupby("method", sort=False):
        grouped = part.groupby("gamma")["accuracy"]
        mean, low, high = grouped.mean(), grouped.quantile(0.1), grouped.quantile(0.9)
        if method in ("latent", "weights"):
            figure.add_scatter(
                x=np.concatenate([mean.index, mean.index[::-1]]),
                y=np.concatenate([high, low[::-1]]),
                fill="toself",
                mode="lines",
                line={"width": 0},
                fillcolor="rgba(29,37,48,0.12)" if method == "latent" else "rgba(95,107,122,0.1)",
                hoverinfo="skip",
                showlegend=False,
            )
        figure.add_scatter(
            x=mean.index,
            y=mean,
            mode="lines",
            name=short_label(str(method)),
            line=style.line(str(method)),
            hovertemplate="%{y:.1%}",
        )
    ends = [(0.0, palette.architectures[0]), (1.0, palette.architectures[-1])]
    due = [*ends[:1], *inner_points(palette.architectures), *ends[1:]]
    figure.add_scatter(
        x=[gamma for gamma, _ in due],
        y=[trained.get(name) for _, name in due],
        mode="markers",
        cliponaxis=False,
        name="trained networks",
        marker={
            "symbol": [palette.symbol(name) for _, name in due],
            "color": [palette.color(name) for _, name in due],
            "size": 12,
            "line": {"color": "#ffffff", "width": 1.5},
        },
        text=[name for _, name in due],
        hovertemplate="%{text} trained: %{y:.1%}<extra></extra>",
    )
    _mark_inner(figure, palette)
    figure.update_xaxes(_gamma_axis(palette), hoverformat=".2f")
    figure.update_yaxes(share_axis("Test accuracy"), range=[0, 1.03])
    count = whole["pair"].nunique()
    return Figure(
        "fig-interpolation-mean",
        figure,
        "Mean test accuracy along the interpolation, in the latent space and in the weights.",
        f"Mean of {count} {'pair' if count == 1 else 'pairs'}; the bands hold the middle 80 % "
        "of them. Marks: trained networks of the architecture due at that point.",
        "interpolation",
        "Accuracy on the way",
    )


def share(frame: pd.DataFrame, palette: Palette) -> Figure:
    """Which architecture is predicted along the way, as a share of the pairs."""
    whole = curves(frame, palette.architectures)
    latent = whole[whole["method"] == "latent"]
    shares = pd.crosstab(latent["gamma"], latent["predicted_architecture"], normalize="index")
    figure = go.Figure(layout=layout(400, hovermode="x unified"))
    for name in [n for n in palette.architectures if n in shares]:
        figure.add_scatter(
            x=shares.index,
            y=shares[name],
            mode="lines",
            name=name,
            stackgroup="one",
            line={"width": 0.5, "color": "#ffffff"},
            fillcolor=palette.color(name),
            hovertemplate="%{y:.0%}",
        )
    figure.update_layout(legend={"traceorder": "normal"})
    for gamma, _ in inner_points(palette.architectures):
        figure.add_vline(gamma, line={"color": "#ffffff", "width": 1.5, "dash": "dot"})
    figure.update_xaxes(_gamma_axis(palette), range=[0, 1], hoverformat=".2f", showgrid=False)
    figure.update_yaxes(share_axis("Share of pairs"), range=[0, 1], showgrid=False)
    return Figure(
        "fig-interpolation-share",
        figure,
        "Share of pairs for which each architecture is predicted, along the interpolation.",
        "What the latent is decoded as on the way. Dotted lines: 1/3 and 2/3, where the "
        "architectures in between are due."
        if len(palette.architectures) == 4
        else "What the latent is decoded as on the way.",
        "interpolation",
        "Architecture on the way",
    )


def pairs(frame: pd.DataFrame, palette: Palette) -> tuple[Figure, Control]:
    """The way between two networks, pair by pair, colored by the predicted architecture."""
    whole = curves(frame, palette.architectures)
    seeds = whole["seed"].drop_duplicates()
    whole = whole[whole["seed"] == seeds.iloc[0]]
    several = f" Shown: seed {seeds.iloc[0]}, one of {len(seeds)}." if len(seeds) > 1 else ""
    figure = go.Figure(layout=layout(420))
    for name in palette.architectures:
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=name,
            marker={"symbol": palette.symbol(name), "color": palette.color(name), "size": 9},
        )
    always, owners = len(figure.data), []
    pairs = list(dict.fromkeys(whole["pair"]))
    for pair in pairs:
        for method, part in whole[whole["pair"] == pair].groupby("method", sort=False):
            part = part.sort_values("gamma")
            predicted = part["predicted_architecture"].fillna("").astype(str)
            latent = method == "latent"
            figure.add_scatter(
                x=part["gamma"],
                y=part["accuracy"],
                mode="lines+markers" if latent else "lines",
                name=short_label(str(method)),
                visible=pair == pairs[0],
                line={"color": FAINT, "width": 1} if latent else style.line(str(method)),
                showlegend=not latent,
                marker={
                    "symbol": [palette.symbol(name) for name in predicted],
                    "color": [palette.color(name) for name in predicted],
                    "size": 7,
                },
                text=predicted,
                hovertemplate=(
                    f"{method_label(str(method))}, %{{x:.2f}}<br>%{{text}}, accuracy %{{y:.1%}}"
                    "<extra></extra>"
                ),
            )
            owners.append(pair)
    _mark_inner(figure, palette)
    figure.update_xaxes(_gamma_axis(palette))
    figure.update_yaxes(share_axis("Test accuracy"), range=[0, 1.03])
    choices = [
        Choice(
            pair.replace(":", " to "),
            {"fig-interpolation-pair": [True] * always + [owner == pair for owner in owners]},
        )
        for pair in pairs
    ]
    return (
        Figure(
            "fig-interpolation-pair",
            figure,
            "Test accuracy at every point between two networks, marked by predicted architecture.",
            "Each mark is a network decoded from a point between two latents and run as the "
            f"architecture predicted there.{several}",
            "interpolation",
        ),
        Control("control-pair", "Pair", choices),
    )

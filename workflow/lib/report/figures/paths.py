"""Figures in which something moves: interpolation, optimisation, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Choice, Control, Figure
from lib.report.style import (
    COLORS,
    FAINT,
    INK,
    MUTED,
    Palette,
    layout,
    method_label,
    share_axis,
)
from lib.report.summary import curves, inner_points

LINES = {
    "latent": {"color": INK, "width": 2.5},
    "weights": {"color": MUTED, "width": 2, "dash": "dash"},
    "constant": {"color": FAINT, "width": 2, "dash": "dot"},
}
OTHER_LINES = ("dashdot", "longdash", "longdashdot")
LONGEST_LINE = 400


def _line(method: str) -> dict:
    fallback = OTHER_LINES[sum(map(ord, method)) % len(OTHER_LINES)]
    return LINES.get(method, {"color": MUTED, "width": 1.5, "dash": fallback})


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
    }


def interpolation_mean(
    frame: pd.DataFrame, palette: Palette, trained: Mapping[str, float]
) -> Figure:
    """Mean accuracy along the way between the two extremes, with the spread over pairs."""
    whole = curves(frame)
    figure = go.Figure(layout=layout(400, hovermode="x unified"))
    for method, part in whole.groupby("method", sort=False):
        grouped = part.groupby("gamma")["accuracy"]
        mean, low, high = grouped.mean(), grouped.quantile(0.1), grouped.quantile(0.9)
        line = _line(str(method))
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
            name=method_label(str(method)),
            line=line,
            hovertemplate="%{y:.1%}",
        )
    ends = [(0.0, palette.architectures[0]), (1.0, palette.architectures[-1])]
    due = [*ends[:1], *inner_points(palette.architectures), *ends[1:]]
    figure.add_scatter(
        x=[gamma for gamma, _ in due],
        y=[trained.get(name) for _, name in due],
        mode="markers",
        name="Trained networks, mean",
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


def interpolation_share(frame: pd.DataFrame, palette: Palette) -> Figure:
    """Which architecture is predicted along the way, as a share of the pairs."""
    whole = curves(frame)
    latent = whole[whole["method"] == "latent"]
    shares = pd.crosstab(latent["gamma"], latent["predicted_architecture"], normalize="index")
    figure = go.Figure(layout=layout(300, hovermode="x unified"))
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


def interpolation_pairs(frame: pd.DataFrame, palette: Palette) -> tuple[Figure, Control]:
    """The way between two networks, pair by pair, colored by the predicted architecture."""
    whole = curves(frame)
    whole = whole[whole["seed"] == whole["seed"].iloc[0]] if len(whole) else whole
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
                name=method_label(str(method)),
                visible=pair == pairs[0],
                line={"color": FAINT, "width": 1} if latent else _line(str(method)),
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
            "architecture predicted there.",
            "interpolation",
        ),
        Control("control-pair", "Pair", choices),
    )


def optimization(
    frame: pd.DataFrame, palette: Palette, trained: Mapping[str, float]
) -> list[Figure]:
    """Validation accuracy while a latent is optimised, one figure per required architecture."""
    ceiling = min(1.0, frame["validation_accuracy"].max() + 0.02)
    figures = []
    for name in [n for n in palette.architectures if n in set(frame["architecture"])]:
        part = frame[frame["architecture"] == name]
        figure = go.Figure(layout=layout(320))
        last = part["step"].max()
        for method, runs in part.groupby("method", sort=False):
            _optimization_lines(figure, str(method), runs, palette.color(name), last)
        if name in trained:
            figure.add_hline(
                trained[name], line={"color": palette.color(name), "width": 1, "dash": "dot"}
            )
        figure.update_xaxes(title={"text": "Step"}, rangemode="tozero")
        figure.update_yaxes(share_axis("Accuracy"), range=[0, ceiling + 0.02])
        figures.append(
            Figure(
                f"fig-optimization-{name}",
                figure,
                f"Validation accuracy while a latent is optimised towards {name}.",
                "",
                "latent_optimization",
                name,
            )
        )
    return figures


def _optimization_lines(
    figure: go.Figure, method: str, runs: pd.DataFrame, color: str, last: float
) -> None:
    label = method_label(method)
    line = {"color": color, "width": 2} if method == "latent" else _line(method)
    picked = runs[runs["test_accuracy"].notna()]
    if runs.groupby(["start", "seed"]).size().max() == 1:
        level = runs["validation_accuracy"].mean()
        figure.add_scatter(
            x=[0, last],
            y=[level, level],
            mode="lines",
            name=label,
            line=line,
            hovertemplate=f"{label}: validation %{{y:.1%}}<extra></extra>",
        )
    else:
        for number, (_, run) in enumerate(runs.groupby(["start", "seed"], sort=False)):
            run = thin(run.sort_values("step"), "step", "validation_accuracy")
            figure.add_scatter(
                x=run["step"],
                y=run["validation_accuracy"],
                mode="lines",
                name=label,
                legendgroup=method,
                showlegend=number == 0,
                line=line,
                opacity=0.75,
                hovertemplate=f"{label}, step %{{x}}<br>validation %{{y:.1%}}<extra></extra>",
            )
        figure.add_scatter(
            x=picked["step"],
            y=picked["test_accuracy"],
            mode="markers",
            name="chosen step: test",
            legendgroup="chosen",
            showlegend=method == "latent",
            marker={
                "symbol": "star",
                "size": 13,
                "color": line["color"],
                "line": {"color": "#ffffff", "width": 1},
            },
            text=picked["start"],
            hovertemplate=f"{label}, chosen step %{{x}}<br>test accuracy %{{y:.1%}}"
            "<br>%{text}<extra></extra>",
        )


def thin(frame: pd.DataFrame, x: str, y: str, longest: int = LONGEST_LINE) -> pd.DataFrame:
    """Shorten a curve to `longest` points by averaging neighbours; shorter ones stay as is."""
    if len(frame) <= longest:
        return frame
    block = np.arange(len(frame)) * longest // len(frame)
    return frame.groupby(block)[[x, y]].mean()


def losses(by_seed: Mapping[str, pd.DataFrame]) -> list[Figure]:
    """Loss terms and validation measures while the embedder is trained."""
    frame = pd.concat([part.assign(seed=seed) for seed, part in by_seed.items()])
    measured = frame["name"].str.startswith("validation")
    figures = []
    terms = (
        ("fig-losses", frame[~measured], "Loss terms (training)", "Loss"),
        ("fig-validation", frame[measured], "Validation networks and images", "Share"),
    )
    for key, part, title, axis in terms:
        if part.empty:
            continue
        figure = go.Figure(layout=layout(360))
        names: Sequence[str] = list(dict.fromkeys(part["name"]))
        for place, name in enumerate(names):
            runs = part[part["name"] == name].groupby("seed", sort=False)
            for number, (seed, run) in enumerate(runs):
                run = thin(run.dropna(subset=["value"]).sort_values("step"), "step", "value")
                figure.add_scatter(
                    x=run["step"],
                    y=run["value"],
                    mode="lines",
                    name=name.removeprefix("validation_").replace("_", " "),
                    legendgroup=name,
                    showlegend=number == 0,
                    line={"color": COLORS[place % len(COLORS)], "width": 1.8},
                    hovertemplate=f"{name}, seed {seed}, step %{{x:.0f}}: %{{y:.3g}}"
                    "<extra></extra>",
                )
        figure.update_xaxes(title={"text": "Training step"})
        figure.update_yaxes(title={"text": axis})
        if axis == "Share":
            figure.update_yaxes(share_axis(""))
        else:
            figure.update_yaxes(type="log", exponentformat="power", dtick=1)
        figures.append(Figure(key, figure, title, "", "losses", title))
    return figures

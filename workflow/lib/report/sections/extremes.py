"""Walks from the first architecture to the last, and what is due in between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import (
    Block,
    Control,
    Figure,
    Figures,
    Heading,
    Rows,
    Table,
    Text,
    Verdict,
)
from lib.report.cells import Cell, points, share
from lib.report.marks import count_of, dots, first_seed, middle_band
from lib.report.methods import label, look, ordered
from lib.report.section import PageData
from lib.report.style import FAINT, Palette, layout, percent, share_axis
from lib.report.style import points as in_points

NAME = "interpolation"
SHARE, LOSS = 0.95, 0.02  # goals: of pairs predicted as due, of accuracy


def blocks(page: PageData, frame: pd.DataFrame) -> list[Block]:
    """The figures and the table; `frame` has the walks between the extremes."""
    whole, palette = followed(frame, page.architectures), page.palette
    shown: list[Block] = [
        Text(
            "A straight line between the latents of two test networks is decoded point by point. "
            "In between, networks of the other architectures should appear, as good as trained "
            "ones: written by the decoder, which was trained to do so between training networks."
        )
    ]
    if len(whole):
        figure, control = _pairs(whole, palette)
        shown += [
            Figures([_mean(whole, palette, page.trained), _share(whole, palette)]),
            Heading("Pair by pair"),
            control,
            figure,
        ]
    inner = at_inner_points(frame, page.architectures)
    if len(inner):
        shown += [
            Heading("At the marked points, over all pairs of test networks"),
            table(inner, page.trained),
        ]
    return shown


def inner_points(architectures: Sequence[str]) -> list[tuple[float, str]]:
    """Where between the two extremes each architecture in between is due: (gamma, name)."""
    last = len(architectures) - 1
    return [(k / last, name) for k, name in enumerate(architectures) if 0 < k < last]


def at_inner_points(frame: pd.DataFrame, architectures: Sequence[str]) -> pd.DataFrame:
    """Rows at the inner points, once per (pair, method, seed), with `expected` and `point`."""
    parts = []
    for number, (gamma, name) in enumerate(inner_points(architectures), start=1):
        near = frame[np.isclose(frame["gamma"], gamma, rtol=0, atol=2e-3)]
        near = near.drop_duplicates(["pair", "method", "seed"])
        parts.append(near.assign(expected=name, point=f"{number}/{len(architectures) - 1}"))
    if not parts:
        return frame.iloc[:0].assign(expected="", point="")
    return pd.concat(parts, ignore_index=True)


def followed(frame: pd.DataFrame, architectures: Sequence[str]) -> pd.DataFrame:
    """Only the pairs followed along the whole way, not those seen at the inner points alone."""
    counts = frame.groupby(["pair", "method"])["gamma"].nunique()
    inner = len(inner_points(architectures))
    whole = {pair for (pair, _), count in counts.items() if count > inner}
    return frame[frame["pair"].isin(whole)]


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


def _mean(whole: pd.DataFrame, palette: Palette, trained: Mapping[str, float]) -> Figure:
    """Mean accuracy along the way between the two extremes, with the spread over pairs."""
    figure = go.Figure(layout=layout(400, hovermode="x unified"))
    for method in ordered(whole["method"]):
        by = whole[whole["method"] == method].groupby("gamma")["accuracy"]
        mean, shown = by.mean(), look(method, NAME)
        if method in ("latent", "weights"):
            middle_band(figure, by.quantile(0.1), by.quantile(0.9), shown.color)
        figure.add_scatter(
            x=mean.index,
            y=mean,
            mode="lines",
            name=shown.label,
            line=shown.line,
            hovertemplate="%{y:.1%}",
        )
    names = palette.architectures
    due = [(0.0, names[0]), *inner_points(names), (1.0, names[-1])]
    figure.add_scatter(
        x=[gamma for gamma, _ in due],
        y=[trained.get(name) for _, name in due],
        mode="markers",
        cliponaxis=False,
        name="Trained networks",
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
    return Figure(
        "fig-interpolation-mean",
        figure,
        "Mean test accuracy along the interpolation, in the latent space and in the weights.",
        f"Mean of {count_of(whole['pair'].nunique(), 'pair')}; the bands hold the middle 80 % "
        "of them. Marks: trained networks of the architecture due at that point.",
        NAME,
        "Accuracy on the way",
    )


def _share(whole: pd.DataFrame, palette: Palette) -> Figure:
    """Which architecture is predicted along the way, as a share of the pairs."""
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
    inner, last = inner_points(palette.architectures), len(palette.architectures) - 1
    for gamma, _ in inner:
        figure.add_vline(gamma, line={"color": "#ffffff", "width": 1.5, "dash": "dot"})
    figure.update_xaxes(_gamma_axis(palette), range=[0, 1], hoverformat=".2f", showgrid=False)
    figure.update_yaxes(share_axis("Share of pairs"), range=[0, 1], showgrid=False)
    places = " and ".join(f"{number}/{last}" for number in range(1, last))
    due = f" Dotted lines: {places}, where the architectures in between are due." if inner else ""
    return Figure(
        "fig-interpolation-share",
        figure,
        "Share of pairs for which each architecture is predicted, along the interpolation.",
        f"What the latent is decoded as on the way.{due}",
        NAME,
        "Architecture on the way",
    )


def _pairs(whole: pd.DataFrame, palette: Palette) -> tuple[Figure, Control]:
    """The way between two networks, pair by pair, colored by the predicted architecture."""
    whole, several = first_seed(whole)
    figure = go.Figure(layout=layout(420))
    for name in palette.architectures:
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=name,
            marker=dots(palette.color(name), palette.symbol(name), 9),
        )
    owners: list[str | None] = [None] * len(figure.data)
    pairs = list(dict.fromkeys(whole["pair"]))
    for pair in pairs:
        part = whole[whole["pair"] == pair]
        for method in ordered(part["method"]):
            walk = part[part["method"] == method].sort_values("gamma")
            predicted = walk["predicted_architecture"].fillna("").astype(str)
            latent, shown = method == "latent", look(method, NAME)
            figure.add_scatter(
                x=walk["gamma"],
                y=walk["accuracy"],
                mode="lines+markers" if latent else "lines",
                name=shown.label,
                visible=pair == pairs[0],
                line={"color": FAINT, "width": 1} if latent else shown.line,
                showlegend=not latent,
                marker={
                    "symbol": [palette.symbol(name) for name in predicted],
                    "color": [palette.color(name) for name in predicted],
                    "size": 7,
                },
                text=predicted,
                hovertemplate=(
                    f"{shown.label}, %{{x:.2f}}<br>%{{text}}, accuracy %{{y:.1%}}<extra></extra>"
                ),
            )
            owners.append(pair)
    _mark_inner(figure, palette)
    figure.update_xaxes(_gamma_axis(palette))
    figure.update_yaxes(share_axis("Test accuracy"), range=[0, 1.03])
    id = "fig-interpolation-pair"
    options = {pair: pair.replace(":", " to ") for pair in pairs}
    return (
        Figure(
            id,
            figure,
            "Test accuracy at every point between two networks, marked by predicted architecture.",
            "Each mark is a network decoded from a point between two latents and run as the "
            f"architecture predicted there.{several}",
            NAME,
        ),
        Control.owners("control-pair", "Pair", options, {id: owners}),
    )


def table(inner: pd.DataFrame, trained: Mapping[str, float]) -> Table:
    """The inner points, method by method, beside the trained networks due there."""
    rows = Rows()
    for (point, name), some in inner.groupby(["point", "expected"], sort=False):
        for method in ordered(some["method"]):
            part = some[some["method"] == method]
            reference = trained.get(name, math.nan)
            per_pair = part.groupby("pair", sort=False)["accuracy"].mean()
            rows.add(
                Cell(point, name),
                label(method, NAME),
                str(len(per_pair)),
                percent((part["predicted_architecture"] == name).mean()),
                share(per_pair),
                percent(reference),
                points(per_pair - reference),
                strong=method == "latent",
            )
    return rows.table(
        "table-interpolation",
        (
            "Point",
            "Mixed",
            "Pairs",
            "Predicted as due",
            "Test accuracy",
            "Trained networks",
            "Difference, points",
        ),
        "Every pair counts, whatever was predicted. Mean over pairs with the 95 % interval; pairs "
        "share networks, so the interval is narrower than one over independent pairs.",
        NAME,
        heads=2,
    )


def verdicts(page: PageData, frame: pd.DataFrame) -> list[Verdict]:
    """The goals for what lies at the inner points."""
    inner = at_inner_points(frame, page.architectures)
    inner = inner[inner["method"] == "latent"]
    return [_architecture(inner), _accuracy(inner, page.trained)] if len(inner) else []


def _architecture(inner: pd.DataFrame) -> Verdict:
    right = inner.assign(right=inner["predicted_architecture"] == inner["expected"])
    shares = right.groupby(["point", "expected"])["right"].mean()
    listed = ", ".join(
        f"{name} at {point} for {percent(share)}" for (point, name), share in shares.items()
    )
    return Verdict(
        "reached" if shares.min() >= SHARE else "short",
        "Do the architectures in between appear between the two extremes?",
        f"{listed} of {inner['pair'].nunique()} pairs",
        f"At least {100 * SHARE:.0f} % of pairs at each point",
        NAME,
    )


def _accuracy(inner: pd.DataFrame, trained: Mapping[str, float]) -> Verdict:
    means = inner.groupby(["point", "expected"])["accuracy"].mean()
    gaps = {key: mean - trained.get(key[1], math.nan) for key, mean in means.items()}
    listed = ", ".join(
        f"{percent(means[key])} at {key[0]} ({in_points(gap)} to trained {key[1]})"
        for key, gap in gaps.items()
    )
    state = "reached" if min(gaps.values()) >= -LOSS else "short"
    return Verdict(
        state if all(math.isfinite(gap) for gap in gaps.values()) else "open",
        "Are those networks as good as trained ones?",
        listed,
        f"At most {100 * LOSS:.0f} points below the trained test networks' mean",
        NAME,
    )

"""Figures of walks, optimisations and moves in the space of one architecture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Choice, Control, Figure
from lib.report.single_style import BANDS, MOVED, TUNED, WALKS
from lib.report.style import FAINT, layout, share_axis

ENDS = {"good": "two good networks", "mixed": "a poor and a good network"}


def walks(frame: pd.DataFrame) -> list[Figure]:
    """Mean accuracy along walks, by what their ends are; bands hold the middle 80 % of pairs."""
    found = []
    for ends, words in ENDS.items():
        part = frame[frame["ends"] == ends]
        if part.empty:
            continue
        figure = go.Figure(layout=layout(380, hovermode="x unified"))
        for method, look in WALKS.items():
            by = part[part["method"] == method].groupby("gamma")["accuracy"]
            mean, low, high = by.mean(), by.quantile(0.1), by.quantile(0.9)
            if method in ("latent", "aligned_reset"):
                figure.add_scatter(
                    x=np.concatenate([mean.index, mean.index[::-1]]),
                    y=np.concatenate([high, low[::-1]]),
                    fill="toself",
                    mode="lines",
                    line={"width": 0},
                    fillcolor=_faint(look.color),
                    hoverinfo="skip",
                    showlegend=False,
                )
            figure.add_scatter(
                x=mean.index,
                y=mean,
                mode="lines",
                name=look.label,
                line=look.line,
                hovertemplate="%{y:.1%}",
            )
        figure.update_xaxes(title={"text": "from the one (0) to the other (1)"}, hoverformat=".2f")
        figure.update_yaxes(share_axis("Test accuracy"), range=[0, 1.03])
        count = part["pair"].nunique()
        found.append(
            Figure(
                f"fig-single-walks-{ends}",
                figure,
                f"Mean test accuracy on the way between {words}, four ways.",
                f"Mean of {count} {'pair' if count == 1 else 'pairs'} of test networks; the bands "
                "hold the middle 80 % of them.",
                "interpolation",
                f"Between {words}",
            )
        )
    return found


def _faint(color: str) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"


def tuned(frame: pd.DataFrame) -> tuple[list[Figure], Control]:
    """Validation accuracy over steps, from poor networks' latents and from random ones."""
    figures, last = [], frame["step"].max()
    start = frame["start"].astype(str)
    shared = frame["method"].isin(["distilled", "best_of_zoo"])
    kinds = {
        "poor": ("From poor networks' latents", ~start.str.startswith("random-")),
        "random": ("From random latents", start.str.startswith("random-")),
    }
    for key, (title, rows) in kinds.items():
        figure = go.Figure(layout=layout(380))
        for method, look in TUNED.items():
            runs = frame[(frame["method"] == method) & (rows | shared)]
            if method == "best_of_zoo" and len(runs):
                level = runs["validation_accuracy"].mean()
                figure.add_scatter(
                    x=[0, last],
                    y=[level, level],
                    mode="lines",
                    name=look.label,
                    line=look.line,
                    hovertemplate=f"{look.label}: %{{y:.1%}}<extra></extra>",
                )
                continue
            for number, (_, run) in enumerate(runs.groupby(["start", "seed"], sort=False)):
                run = run.sort_values("step")
                figure.add_scatter(
                    x=run["step"],
                    y=run["validation_accuracy"],
                    mode="lines",
                    name=look.label,
                    legendgroup=method,
                    showlegend=number == 0,
                    line=look.line,
                    opacity=0.8,
                    text=run["start"],
                    hovertemplate=f"{look.label}, %{{text}}, step %{{x}}<br>%{{y:.1%}}"
                    "<extra></extra>",
                )
        figure.update_xaxes(title={"text": "Gradient step"}, rangemode="tozero")
        figure.update_yaxes(share_axis("Validation accuracy"), range=[0, 1.02])
        figures.append(
            Figure(
                f"fig-single-tuned-{key}",
                figure,
                f"Validation accuracy while latents are optimised. {title}.",
                "Each line is a run.",
                "latent_optimization",
                title,
            )
        )
    ids, best = [figure.id for figure in figures], frame["validation_accuracy"].max()
    choices = [
        Choice(text, ranges={key: {"yaxis": [low, min(1.0, best) + 0.02]} for key in ids})
        for text, low in (("Whole curve", 0.0), ("Top", best - 0.12))
    ]
    return figures, Control("control-single-tuned", "Vertical axis", choices)


def moved(frame: pd.DataFrame) -> list[Figure]:
    """Mean change of test accuracy by how far networks are moved, a figure for each band."""
    found = []
    lowest, highest = (
        frame.groupby(["band", "method", "scale"])["change"].mean().agg(["min", "max"])
    )
    for band in [band for band in BANDS if band in set(frame["band"])]:
        part = frame[frame["band"] == band]
        figure = go.Figure(layout=layout(320, hovermode="x unified"))
        figure.add_hline(0, line={"color": FAINT, "width": 1.5, "dash": "dash"})
        for method, look in MOVED.items():
            mean = part[part["method"] == method].groupby("scale")["change"].mean()
            figure.add_scatter(
                x=mean.index,
                y=100 * mean,
                mode="lines+markers",
                name=look.label,
                line=look.line,
                marker={"symbol": look.symbol, "size": 7},
                hovertemplate="%{y:+.1f} points",
            )
        figure.update_xaxes(title={"text": "Scale of the direction"})
        figure.update_yaxes(
            title={"text": "Change, points"}, range=[100 * lowest - 4, 100 * highest + 4]
        )
        count = part["network"].nunique()
        found.append(
            Figure(
                f"fig-single-moved-{band}",
                figure,
                f"Change of test accuracy of {band} networks along the direction.",
                f"Mean of {count} test {'network' if count == 1 else 'networks'}.",
                "arithmetic",
                {"low": "Poor networks", "middle": "Middling networks", "high": "Good networks"}[
                    band
                ],
            )
        )
    return found

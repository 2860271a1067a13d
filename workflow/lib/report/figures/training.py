"""Figures of what is trained step by step: an optimised latent, the embedder itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report import style
from lib.report.blocks import Choice, Control, Figure
from lib.report.style import TERM_COLORS, Palette, layout, method_label, share_axis, short_label
from lib.report.summary import chosen

LONGEST_LINE = 400


def optimization(
    frame: pd.DataFrame, palette: Palette, trained: Mapping[str, float]
) -> tuple[list[Figure], Control]:
    """Validation accuracy while a latent is optimised, one figure per required architecture.

    The control looks closer at the top, where the methods differ.
    """
    ceiling = min(1.0, frame["validation_accuracy"].max()) + 0.03
    top = min([*trained.values(), *chosen(frame)["test_accuracy"]]) - 0.06
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
        figure.update_yaxes(share_axis("Accuracy"), range=[0, ceiling])
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
    ids = [figure.id for figure in figures]
    choices = [
        Choice(text, ranges={key: {"yaxis": [low, ceiling]} for key in ids})
        for text, low in (("Whole curve", 0.0), ("Top", top))
    ]
    return figures, Control("control-optimization", "Vertical axis", choices)


def _optimization_lines(
    figure: go.Figure, method: str, runs: pd.DataFrame, color: str, last: float
) -> None:
    label = method_label(method)
    line = {"color": color, "width": 2} if method == "latent" else style.line(method)
    picked = runs[runs["test_accuracy"].notna()]
    if runs.groupby(["start", "seed"]).size().max() == 1:
        level = runs["validation_accuracy"].mean()
        figure.add_scatter(
            x=[0, last],
            y=[level, level],
            mode="lines",
            name=short_label(method),
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
                name=short_label(method),
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
        names = sorted(dict.fromkeys(part["name"]), key=lambda name: name != "loss")
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
                    line={"color": TERM_COLORS[place % len(TERM_COLORS)], "width": 1.8},
                    hovertemplate=f"{name}, seed {seed}, step %{{x:.0f}}: %{{y:.3g}}"
                    "<extra></extra>",
                )
        figure.update_xaxes(title={"text": "Training step"}, rangemode="tozero")
        figure.update_yaxes(title={"text": axis})
        if axis == "Share":
            figure.update_yaxes(share_axis(""))
        else:
            figure.update_yaxes(type="log", tickformat=".2~g")
        figures.append(Figure(key, figure, title, "", "losses", title))
    return figures

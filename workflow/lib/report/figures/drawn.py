"""Figures of what is known of networks, and of networks that were drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Choice, Control, Figure
from lib.report.single_style import BANDS, COMPARED, DRAWN, FEATURES
from lib.report.style import INK, layout, share_axis

TARGETS = {"test_accuracy": "Test accuracy", "epochs": "Epochs", "learning_rate": "Learning rate"}
MODELS = {"ridge": "ridge", "boosting": "boosting", "none": ""}
BAND_NAMES = {"low": "poor third", "middle": "middle third", "high": "best third"}
FLOOR = -0.25  # of R2, where the axis ends


def properties(frame: pd.DataFrame) -> list[Figure]:
    """R2 on test networks with its interval, one figure for each target."""
    found = []
    for target in [name for name in TARGETS if name in set(frame["target"])]:
        part = frame[frame["target"] == target].groupby(["features", "model"], sort=False)
        means = part[["r2", "r2_low", "r2_high", "kendall_tau"]].mean().reset_index()
        figure = go.Figure(layout=layout(34 * len(means) + 70))
        names = [
            f"{FEATURES[row.features].label} <i>{MODELS[row.model]}</i>"
            for row in means.itertuples()
        ]
        for place, row in enumerate(means.itertuples()):
            look = FEATURES[row.features]
            value = max(row.r2, FLOOR)
            figure.add_scatter(
                x=[value],
                y=[-place],
                mode="markers",
                showlegend=False,
                marker={
                    "color": look.color if row.model != "boosting" else "#ffffff",
                    "symbol": look.symbol,
                    "size": 11,
                    "line": {"color": look.color, "width": 2},
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [np.nan_to_num(row.r2_high - value).clip(0)],
                    "arrayminus": [np.nan_to_num(value - max(row.r2_low, FLOOR)).clip(0)],
                    "color": look.color,
                    "thickness": 1.8,
                    "width": 4,
                },
                hovertemplate=f"{names[place]}<br>R² {row.r2:.2f}, tau {row.kendall_tau:.2f}"
                "<extra></extra>",
            )
        figure.update_yaxes(
            tickvals=[-k for k in range(len(names))], ticktext=names, showgrid=False, ticks=""
        )
        figure.update_xaxes(title={"text": "R² on test networks"}, range=[FLOOR - 0.03, 1.03])
        found.append(
            Figure(
                f"fig-single-properties-{target}",
                figure,
                f"R2 of predictions of {TARGETS[target].lower()} from latents and from weights.",
                "Lines: 95 % intervals by resampling test networks. What lies left of the axis is "
                f"shown at {FLOOR}.".replace("-", "−"),
                "property_prediction",
                TARGETS[target],
            )
        )
    return found


def sampled(frame: pd.DataFrame) -> tuple[Figure, Control]:
    """Test accuracy of drawn networks and their controls, band by band, after so many epochs."""
    figure = go.Figure(layout=layout(420))
    epochs = sorted(int(count) for count in frame["epochs"].unique())
    bands, owners = [band for band in BANDS if band in set(frame["band"])], []
    width = 0.84 / len(DRAWN)
    for epoch in epochs:
        for number, (kind, look) in enumerate(DRAWN.items()):
            xs, ys, names, means = [], [], [], []
            for place, band in enumerate(bands):
                own = "" if kind == "initialised" else band
                some = frame[
                    (frame["kind"] == kind) & (frame["band"] == own) & (frame["epochs"] == epoch)
                ]
                x = place + (number - (len(DRAWN) - 1) / 2) * width
                xs += [x] * len(some)
                ys += some["accuracy"].tolist()
                names += some["network"].tolist()
                means.append((x, some["accuracy"].mean()))
            figure.add_scatter(
                x=xs,
                y=ys,
                mode="markers",
                name=look.label,
                legendgroup=kind,
                visible=epoch == epochs[0],
                marker={"color": look.color, "symbol": look.symbol, "size": 7, "opacity": 0.55},
                text=names,
                hovertemplate=f"{look.label}<br>%{{text}}: %{{y:.1%}}<extra></extra>",
            )
            figure.add_scatter(
                x=[x for x, _ in means],
                y=[y for _, y in means],
                mode="markers",
                legendgroup=kind,
                showlegend=False,
                visible=epoch == epochs[0],
                marker={
                    "color": look.color,
                    "symbol": "line-ew",
                    "size": 14,
                    "line": {"color": look.color, "width": 3},
                },
                hovertemplate=f"{look.label}: mean %{{y:.1%}}<extra></extra>",
            )
            owners += [epoch, epoch]
    figure.update_xaxes(
        tickvals=list(range(len(bands))),
        ticktext=[BAND_NAMES[band] for band in bands],
        range=[-0.5, len(bands) - 0.5],
        showgrid=False,
        ticks="",
    )
    figure.update_yaxes(share_axis("Test accuracy"), range=[0, 1.03])
    key = "fig-single-sampled"
    choices = [
        Choice(
            "As drawn" if epoch == 0 else f"After {epoch} epoch{'' if epoch == 1 else 's'}",
            {key: [owner == epoch for owner in owners]},
        )
        for epoch in epochs
    ]
    return (
        Figure(
            key,
            figure,
            "Test accuracy of drawn networks and their controls in three bands of accuracy.",
            "Bars are means. A network is drawn for a third of the training networks by accuracy; "
            "initialised networks belong to none and stand beside each.",
            "sampling",
        ),
        Control("control-single-sampled", "Networks", choices),
    )


def compared(frame: pd.DataFrame) -> Figure:
    """Errors in common with the nearest training network against accuracy."""
    figure = go.Figure(layout=layout(440))
    for kind, look in COMPARED.items():
        part = frame[frame["kind"] == kind]
        figure.add_scatter(
            x=part["accuracy"],
            y=part["error_overlap"],
            mode="markers",
            name=look.label,
            marker={
                "color": look.color,
                "symbol": look.symbol,
                "size": 8,
                "opacity": 0.75,
                "line": {"color": INK if kind in ("kde", "mixture") else "#ffffff", "width": 0.7},
            },
            customdata=np.stack([part["network"], part["nearest_outputs"]], 1)
            if len(part)
            else None,
            hovertemplate=f"<b>%{{customdata[0]}}</b> ({look.label.lower()})<br>nearest: "
            "%{customdata[1]}<br>accuracy %{x:.1%}, errors in common %{y:.1%}<extra></extra>",
        )
    figure.update_xaxes(share_axis("Test accuracy"))
    figure.update_yaxes(share_axis("Errors in common with the nearest"), range=[0, 1.03])
    return Figure(
        "fig-single-novelty",
        figure,
        "Errors in common with the nearest training network, against accuracy.",
        "Poor networks get most images wrong and so have most errors in common: compare at the "
        "same accuracy, from top to bottom.",
        "novelty",
    )


def spread(values: pd.Series) -> tuple[float, float, float]:
    """Mean of shares with its interval, cut to what is possible."""
    mean, low, high = mean_interval(values)
    return mean, max(low, 0.0), min(high, 1.0)

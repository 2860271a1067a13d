"""Figures of networks that differ in how good they are: the map, what is kept of them, the zoo."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.evaluate.performance import BANDS, bands
from lib.report.blocks import Choice, Control, Figure
from lib.report.single_style import KEPT
from lib.report.style import FAINT, INK, MUTED, SEQUENTIAL, Look, layout, percent, share_axis

BLOCKS = "▁▂▃▄▅▆▇█"
LONGEST = 40  # signs in a curve


def sparkline(curve: object) -> str:
    """A training curve (JSON list of shares) as a line of signs, from 0 to 1; empty without one."""
    if not isinstance(curve, str):
        return ""
    values = [value for value in json.loads(curve) if value is not None]
    step = max(1, math.ceil(len(values) / LONGEST))
    heights = (min(int(value * len(BLOCKS)), len(BLOCKS) - 1) for value in values[::step])
    return "".join(BLOCKS[height] for height in heights)


def latent_map(frame: pd.DataFrame) -> tuple[Figure, Control]:
    """All networks in two dimensions, colored by accuracy or by epochs."""
    figure, seeds = go.Figure(layout=layout(480)), frame["seed"].drop_duplicates()
    frame = frame[frame["seed"] == seeds.iloc[0]]
    curves = frame.get("train_curve", pd.Series(np.nan, index=frame.index))
    hover = np.stack(
        [
            frame["network"],
            frame["split"],
            frame["epochs"],
            frame["validation_accuracy"],
            curves.map(sparkline),
        ],
        1,
    )
    test = (frame["split"] == "test").to_numpy()
    for column, title in (("validation_accuracy", "Validation accuracy"), ("epochs", "Epochs")):
        values = frame[column].to_numpy(dtype=float)
        shown = values if column != "epochs" else np.log2(values)
        bar = {
            "orientation": "h",
            "y": -0.02,
            "yanchor": "top",
            "thickness": 12,
            "len": 0.9,
            "title": {"text": title, "side": "bottom"},
        }
        if column == "epochs":
            marks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) if k <= values.max()]
            bar |= {"tickvals": np.log2(marks).tolist(), "ticktext": [str(k) for k in marks]}
        else:
            bar |= {"tickformat": ".0%", "nticks": 6}
        figure.add_scatter(
            x=frame["x"],
            y=frame["y"],
            mode="markers",
            visible=column != "epochs",
            showlegend=False,
            marker={
                "color": shown,
                "colorscale": SEQUENTIAL,
                "colorbar": bar,
                "size": np.where(test, 11, 7),
                "line": {"color": INK, "width": np.where(test, 1.4, 0.0)},
            },
            customdata=hover,
            hovertemplate=(
                "<b>%{customdata[0]}</b> (%{customdata[1]})<br>%{customdata[4]}<br>"
                "%{customdata[2]} epochs, validation accuracy %{customdata[3]:.1%}<extra></extra>"
            ),
        )
    figure.update_xaxes(showticklabels=False, ticks="", title=None)
    figure.update_yaxes(showticklabels=False, ticks="", title=None)
    key = "fig-single-map"
    choices = [
        Choice("Accuracy", {key: [True, False]}),
        Choice("Epochs of training", {key: [False, True]}),
    ]
    shares = [percent(frame[f"explained_{axis}"].iloc[0], 0) for axis in "xy"]
    several = f" Shown: seed {seeds.iloc[0]}, one of {len(seeds)}." if len(seeds) > 1 else ""
    return (
        Figure(
            key,
            figure,
            "Map of all networks' latents in two dimensions, colored by accuracy.",
            "Each mark is a network; point at it to see its training curve (share of training "
            "images right, epoch by epoch) where it ended. Latents lie near each other if what is "
            "decoded from them answers alike: the axes are the first two principal components of "
            f"these answers for training networks and images ({' and '.join(shares)} of their "
            "variance), found without any label. Outlined marks are test networks, never seen in "
            f"training.{several}",
            "latent_map",
        ),
        Control("control-single-map", "Colour by", choices),
    )


def kept(frame: pd.DataFrame) -> tuple[Figure, Control]:
    """Target against decoded accuracy, method by method."""
    figure, methods = go.Figure(layout=layout(460)), _methods(frame)
    figure.add_scatter(
        x=[-1, 2],
        y=[-1, 2],
        mode="lines",
        line={"color": FAINT, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    for method, look in methods.items():
        some = frame[frame["method"] == method]
        figure.add_scatter(
            x=some["target_accuracy"],
            y=some["accuracy"],
            mode="markers",
            visible=method == next(iter(methods)),
            showlegend=False,
            marker={
                "color": some["agreement"],
                "cmin": 0,
                "cmax": 1,
                "colorscale": SEQUENTIAL,
                "size": 9,
                "line": {"color": "#ffffff", "width": 0.7},
                "colorbar": {
                    "orientation": "h",
                    "y": -0.16,
                    "yanchor": "top",
                    "thickness": 12,
                    "len": 0.9,
                    "tickformat": ".0%",
                    "title": {"text": "Agreement with its target", "side": "bottom"},
                },
            },
            customdata=np.stack([some["network"], some["epochs"], some["agreement"]], 1),
            hovertemplate=(
                f"<b>%{{customdata[0]}}</b> (%{{customdata[1]}} epochs)<br>target %{{x:.1%}}, "
                f"{look.label.lower()} %{{y:.1%}}<br>agreement %{{customdata[2]:.1%}}"
                "<extra></extra>"
            ),
        )
    values = frame[["target_accuracy", "accuracy"]].to_numpy()
    ends = [float(np.nanmin(values)) - 0.03, float(np.nanmax(values)) + 0.03]
    figure.update_xaxes(share_axis("Target's test accuracy", range=ends))
    figure.update_yaxes(share_axis("Test accuracy", range=ends))
    key = "fig-single-kept"
    choices = [
        Choice(look.label, {key: [True] + [other == method for other in methods]})
        for method, look in methods.items()
    ]
    return (
        Figure(
            key,
            figure,
            "Scatter plot of each test network's accuracy before and after the latent space.",
            "Each mark is a test network; on the line its accuracy is kept.",
            "reconstruction",
            "Accuracy, network by network",
        ),
        Control("control-single-kept", "Networks shown", choices),
    )


def agreement(frame: pd.DataFrame) -> Figure:
    """Mean agreement with the own target by fifths of the range of accuracy, method by method."""
    figure = go.Figure(layout=layout(460, hovermode="x unified"))
    targets = frame.drop_duplicates("network").set_index("network")["target_accuracy"]
    fifth = pd.Series(bands(targets.to_numpy()), index=targets.index)
    edges = np.linspace(targets.min(), targets.max(), BANDS + 1)
    places = [(low + high) / 2 for low, high in zip(edges, edges[1:], strict=False)]
    means = frame.assign(fifth=frame["network"].map(fifth)).groupby(["method", "fifth"])
    means = means["agreement"].mean()
    for method, look in _methods(frame).items():
        if look.color == MUTED:
            continue
        found = means[method]
        figure.add_scatter(
            x=[places[k] for k in found.index],
            y=found,
            mode="lines+markers",
            name=look.label,
            line=look.line,
            marker={"symbol": look.symbol, "size": 8},
            hovertemplate="%{y:.1%}",
        )
    counts = ", ".join(str(int((fifth == k).sum())) for k in range(BANDS))
    figure.update_xaxes(share_axis("Target's test accuracy", tickformat=".0%"), tickvals=places)
    figure.update_yaxes(share_axis("Agreement with its target"), range=[0, 1.03])
    return Figure(
        "fig-single-agreement",
        figure,
        "Agreement with the own target in five bands of accuracy.",
        f"Mean over the test networks of each fifth of the range ({counts} networks, from poor to "
        "good). Weak networks are the hard ones: their answers follow no label.",
        "reconstruction",
        "Same answers, by accuracy of the target",
    )


def zoo(catalogue: pd.DataFrame) -> Figure:
    """Validation accuracy by epochs, network by network."""
    good = catalogue[catalogue["status"] == "ok"]
    figure = go.Figure(layout=layout(360))
    for split, color, symbol in (
        ("train", FAINT, "circle"),
        ("validation", "#3F97D2", "square"),
        ("test", INK, "diamond"),
    ):
        part = good[good["split"] == split]
        figure.add_scatter(
            x=part["epochs"],
            y=part["validation_accuracy"],
            mode="markers",
            name=split,
            marker={"color": color, "symbol": symbol, "size": 6, "opacity": 0.8},
            text=part["network"],
            hovertemplate="%{text}<br>%{x} epochs, %{y:.1%}<extra></extra>",
        )
    figure.update_xaxes(title={"text": "Epochs of training"}, type="log", dtick="D2")
    figure.update_yaxes(share_axis("Validation accuracy"))
    return Figure(
        "fig-single-zoo",
        figure,
        "Validation accuracy of all networks against their epochs of training.",
        "Every network has an initialisation of its own and stops after its own number of epochs.",
        "catalogue",
    )


def _methods(frame: pd.DataFrame) -> dict[str, Look]:
    known = [*KEPT, *(m for m in frame["method"].unique() if m not in KEPT)]
    there = set(frame["method"])
    return {m: KEPT.get(m, Look(m.replace("_", " "), "")) for m in known if m in there}

"""All networks on a map of the latent space."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Block, Control, Figure, Figures, Text
from lib.report.marks import colour_bar, dots, first_seed
from lib.report.section import PageData, Section
from lib.report.style import INK, MUTED, SEQUENTIAL, layout, percent

BLOCKS = "▁▂▃▄▅▆▇█"
LONGEST = 40  # signs in a curve
COLOURS = {
    "architecture": "Architecture",
    "validation_accuracy": "Accuracy",
    "epochs": "Epochs of training",
}


def section(page: PageData) -> Section:
    """One map by architectures where there are several, and one by answers."""
    frame, several = first_seed(page["latent_map"])
    colours = ["validation_accuracy"]
    if page.several:
        colours.insert(0, "architecture")
    if "epochs" in frame and frame["epochs"].nunique() > 1:
        colours.append("epochs")
    maps = {}
    if page.several:
        maps["fig-map"] = "x", "y"
    if frame[["answers_x", "answers_y"]].notna().all(axis=None):
        maps["fig-map-answers"] = "answers_x", "answers_y"
    figures, owners = [], {}
    for id, axes in maps.items():
        drawn, owners[id] = _map(page, frame, axes, colours)
        figures.append(_figure(id, drawn, frame, several, page))
    control = Control.owners(
        "control-map", "Colour by", {name: COLOURS[name] for name in colours}, owners
    )
    title = "The latent space on a map" if page.several else "What the space knows, in one picture"
    text = (
        "Every trained network is encoded into its latent; here all latents are laid out in two "
        "dimensions."
    )
    shown: Block = Figures(figures) if len(figures) > 1 else figures[0]
    return Section("map", title, "Map", [Text(text), control, shown])


def _figure(id: str, drawn: go.Figure, frame: pd.DataFrame, several: str, page: PageData) -> Figure:
    curve = (
        "; point at it to see its training curve (share of training images right, epoch by epoch) "
        "where it ended"
        if "train_curve" in frame
        else ""
    )
    outlined = f"Outlined marks are test networks, never seen in training.{several}"
    if id == "fig-map":
        return Figure(
            id,
            drawn,
            "Map of all networks' latents in two dimensions.",
            f"Each mark is a network{curve}. The axes are the directions in which the "
            "architectures' mean latents differ most (training networks); they have no unit. "
            f"{outlined}",
            "latent_map",
            "Laid out by architecture",
        )
    shares = [percent(frame[f"explained_{axis}"].iloc[0], 0) for axis in "xy"]
    return Figure(
        id,
        drawn,
        "Map of all networks' latents in two dimensions, by what they answer.",
        f"Each mark is a network{curve}. Latents lie near each other if what is decoded from them "
        "answers alike: the axes are the first two principal components of these answers for "
        f"training networks and images ({' and '.join(shares)} of their variance), found without "
        f"any label. {outlined}",
        "latent_map",
        "Laid out by answers" if page.several else "",
    )


def _map(
    page: PageData, frame: pd.DataFrame, axes: tuple[str, str], colours: Sequence[str]
) -> tuple[go.Figure, list[str | frozenset[str]]]:
    """The networks at two columns, and by which colour each trace is shown."""
    figure, palette, owners = go.Figure(layout=layout(480)), page.palette, []
    for colour in colours:
        for name in page.architectures:
            part = frame[frame["architecture"] == name]
            test = (part["split"] == "test").to_numpy()
            marker = {
                "symbol": palette.symbol(name),
                "size": np.where(test, 11, 7),
                "opacity": np.where(test, 1.0, 0.75),
                "line": {"color": INK, "width": np.where(test, 1.4, 0.0)},
            }
            if colour == "architecture":
                marker["color"] = palette.color(name)
            else:
                values = part[colour].to_numpy(dtype=float)
                marker["color"] = np.log2(values) if colour == "epochs" else values
                marker["coloraxis"] = "coloraxis2" if colour == "epochs" else "coloraxis"
            figure.add_scatter(
                x=part[axes[0]],
                y=part[axes[1]],
                mode="markers",
                name=name,
                marker=marker,
                visible=colour == colours[0],
                showlegend=colour == "architecture",
                text=[_described(row, page.several) for row in part.to_dict("records")],
                hovertemplate="%{text}<extra></extra>",
            )
            owners.append(colour)
    # A legend entry cannot take its color from a scale, so the symbols get entries of their own.
    for name in page.architectures if page.several else ():
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=name,
            marker=dots(MUTED, palette.symbol(name), 9),
            visible=False,
        )
        owners.append(frozenset(colours) - {"architecture"})
    figure.update_layout(_scales(frame, colours))
    figure.update_xaxes(showticklabels=False, ticks="", title=None)
    figure.update_yaxes(showticklabels=False, ticks="", title=None)
    return figure, owners


def _scales(frame: pd.DataFrame, colours: Sequence[str]) -> dict:
    low, high = frame["validation_accuracy"].min(), frame["validation_accuracy"].max()
    scales = {
        "coloraxis": {
            "colorscale": SEQUENTIAL,
            "cmin": low,
            "cmax": high if high > low else low + 1e-3,
            "colorbar": colour_bar("Validation accuracy", tickformat=".0%", nticks=6),
        }
    }
    if "epochs" in colours:
        marks = [2**k for k in range(10) if 2**k <= frame["epochs"].max()]
        scales["coloraxis2"] = {
            "colorscale": SEQUENTIAL,
            "colorbar": colour_bar(
                "Epochs", tickvals=np.log2(marks).tolist(), ticktext=[str(k) for k in marks]
            ),
        }
    return scales


def _described(row: dict, several: bool) -> str:
    curve = sparkline(row.get("train_curve"))
    lines = [f"<b>{row['network']}</b> ({row['split']})"]
    lines += [curve] if curve else []
    trained = f"{row['epochs']:.0f} epochs, " if math.isfinite(row.get("epochs", math.nan)) else ""
    lines.append(f"{trained}validation accuracy {percent(row['validation_accuracy'])}")
    lines += [f"decoded as {row['predicted_architecture']}"] if several else []
    return "<br>".join(lines)


def sparkline(curve: object) -> str:
    """A training curve (JSON list of shares) as a line of signs, from 0 to 1; empty without one."""
    if not isinstance(curve, str):
        return ""
    values = [value for value in json.loads(curve) if value is not None]
    step = max(1, math.ceil(len(values) / LONGEST))
    heights = (min(int(value * len(BLOCKS)), len(BLOCKS) - 1) for value in values[::step])
    return "".join(BLOCKS[height] for height in heights)

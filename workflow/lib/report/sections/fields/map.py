"""The latent space on a map, with the shape under the pointer; and the meshes of the page."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Embedded, Figure, Hover, Text
from lib.report.scenes import color_of
from lib.report.section import PageData, Section
from lib.report.sections.fields.shared import MARKS
from lib.report.style import COLORS, GRID, SYMBOLS, layout

SPLITS = ("train", "validation", "test")


def section(page: PageData) -> Section:
    """The section; it also holds what `scenes.js` draws in any other."""
    colored = {name: [color_of(name), mesh] for name, mesh in page.meshes.meshes.items()}
    return Section(
        "map",
        "The latent space on a map",
        "Map",
        [
            Text(
                f"Every field is encoded into its latent of {page.latent} numbers; here all "
                "latents are laid out in two dimensions."
            ),
            Hover(figure(page["latent_map"]), "The shape under the pointer"),
            Embedded("meshes", colored),
            Embedded("pictures", page.meshes.pictures),
        ],
    )


def figure(frame: pd.DataFrame) -> Figure:
    """All shapes in two dimensions of the first seed's latents."""
    every = frame[frame["seed"] == frame["seed"].iloc[0]]
    # Test shapes are last and fewest; training shapes give way to them.
    rows, drawn = every[-MARKS:], go.Figure(layout=layout(520))
    few = f" The last {MARKS:,} of {len(every):,} shapes." if len(every) > MARKS else ""
    for split, color, symbol in zip(SPLITS, COLORS, SYMBOLS, strict=False):
        part = rows[rows["split"] == split]
        if part.empty:
            continue
        drawn.add_scatter(
            x=part["x"],
            y=part["y"],
            mode="markers",
            name=split,
            marker={
                "size": 11,
                "color": color,
                "symbol": symbol,
                "opacity": 0.8,
                "line": {"color": "#ffffff", "width": 1},
            },
            customdata=[f"original/{shape}" for shape in part["shape"]],
            text=[
                f"{shape} ({split})<br>IoU of its field {iou:.1%}"
                for shape, iou in zip(part["shape"], part["iou"], strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    for axis, title in (("x", "First"), ("y", "Second")):
        drawn.update_layout({f"{axis}axis.title.text": f"{title} principal component"})
    drawn.update_xaxes(zeroline=True, zerolinecolor=GRID)
    return Figure(
        "fig-latent-map",
        drawn,
        "All shapes in two principal components of the latent space, by split",
        f"Each mark is a shape. Hovering, or a tap, shows it.{few}",
        "latent_map",
    )

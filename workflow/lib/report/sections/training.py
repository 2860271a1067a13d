"""How the embedder was trained: its losses, and what validation networks said."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Block, Figure, Figures, Note, Text
from lib.report.marks import thin
from lib.report.section import PageData, Section
from lib.report.style import TERM_COLORS, layout, share_axis


def section(page: PageData) -> Section | None:
    """Curves of all seeds; None where there are none."""
    if not page.losses:
        return None
    several = len(page.losses) > 1
    blocks: list[Block] = [
        Text(
            f"Loss terms and validation measures by training step{', all seeds' * several}. Long "
            "curves are averaged in blocks to at most 400 points."
        ),
        Figures(losses(page.losses)),
    ]
    if several:
        seeds = [f"losses/{seed}" for seed in page.losses]
        blocks.append(Note(f"Seeds: {', '.join(page.losses)}.", seeds))
    return Section("training", "Training the embedder", "Training", blocks)


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

"""Figures of walks between two networks of one architecture."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import Control, Figure
from lib.report.marks import count_of, middle_band
from lib.report.methods import ENDS, look, ordered
from lib.report.section import PageData
from lib.report.style import layout, share_axis

BANDED = ("latent", "aligned_reset")


def walks(page: PageData, frame: pd.DataFrame) -> tuple[list[Control], list[Figure]]:
    """Mean accuracy along walks, by what their ends are; bands hold the middle 80 % of pairs.

    The control, where there are several architectures, chooses one.
    """
    names, figures, owners = page.shown(frame), [], {}
    for ends, words in ENDS.items():
        part = frame[frame["ends"] == ends]
        if part.empty:
            continue
        figure, shown_for = go.Figure(layout=layout(380, hovermode="x unified")), []
        for name in names:
            before = len(figure.data)
            _lines(figure, part[part["architecture"] == name])
            for trace in figure.data[before:]:
                trace.visible = name == names[0]
                shown_for.append(name)
        figure.update_xaxes(title={"text": "from the one (0) to the other (1)"}, hoverformat=".2f")
        figure.update_yaxes(share_axis("Test accuracy"), range=[0, 1.03])
        count = count_of(part.groupby("architecture")["pair"].nunique().max(), "pair")
        each = " of each architecture" if len(names) > 1 else ""
        id = f"fig-interpolation-{ends}"
        owners[id] = shown_for
        figures.append(
            Figure(
                id,
                figure,
                f"Mean test accuracy on the way between {words}, by method.",
                f"Mean of {count} of test networks{each}; the bands hold the middle 80 % of them.",
                "interpolation",
                f"Between {words}",
            )
        )
    return page.chooser("control-walks", owners), figures


def _lines(figure: go.Figure, frame: pd.DataFrame) -> None:
    for method in ordered(frame["method"]):
        shown = look(method, "interpolation")
        by = frame[frame["method"] == method].groupby("gamma")["accuracy"]
        mean = by.mean()
        if method in BANDED:
            middle_band(figure, by.quantile(0.1), by.quantile(0.9), shown.color)
        figure.add_scatter(
            x=mean.index,
            y=mean,
            mode="lines",
            name=shown.label,
            line=shown.line,
            hovertemplate="%{y:.1%}",
        )

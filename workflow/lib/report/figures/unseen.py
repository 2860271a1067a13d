"""Figures of what was generated of architectures never seen, beside the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from lib.report.blocks import Figure
from lib.report.style import MUTED, Palette, layout, share_axis
from lib.report.unseen_summary import METHODS, Measured, words


def figures(found: Sequence[Measured], palette: Palette, ends: Sequence[float]) -> Iterator[Figure]:
    """Test accuracy of every method, one figure per set left out and architecture.

    Args:
        found: what was measured.
        palette: colors and symbols of the architectures.
        ends: of the axis of accuracies.
    """
    several = len({one.left_out for one in found}) > 1
    keys = dict.fromkeys((one.left_out, one.architecture) for one in found)
    for number, (left_out, name) in enumerate(keys):
        part = [one for one in found if (one.left_out, one.architecture) == (left_out, name)]
        figure = go.Figure(layout=layout(48 * len(part) + 70))
        for place, one in enumerate(part):
            color = palette.color(name) if one.method == "generated" else MUTED
            title = METHODS[one.method][0]
            figure.add_scatter(
                x=one.rows["accuracy"],
                y=[-place - 0.14] * len(one.rows),
                mode="markers",
                marker={"color": color, "size": 5, "symbol": palette.symbol(name)},
                opacity=0.4,
                showlegend=False,
                text=one.rows["pair"].str.replace(":", " to "),
                hovertemplate="%{text}<br>test accuracy %{x:.1%}<extra></extra>",
            )
            spread = [
                0.0 if math.isnan(bound) else abs(bound - one.accuracy) for bound in one.bounds
            ]
            figure.add_scatter(
                x=[one.accuracy],
                y=[-place + 0.14],
                mode="markers",
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": spread[1:],
                    "arrayminus": spread[:1],
                    "color": color,
                    "thickness": 1.8,
                    "width": 4,
                },
                marker={"color": color, "size": 11, "symbol": palette.symbol(name)},
                showlegend=False,
                hovertemplate=f"{title}<br>mean %{{x:.1%}}<extra></extra>",
            )
        figure.update_yaxes(
            tickvals=[-place for place in range(len(part))],
            ticktext=[METHODS[one.method][0] for one in part],
            range=[-len(part) + 0.5, 0.5],
            showgrid=False,
            ticks="",
        )
        figure.update_xaxes(share_axis("Test accuracy", range=list(ends)))
        yield Figure(
            f"fig-unseen-{number}",
            figure,
            f"Test accuracy of {name}: generated without a trained one, and controls.",
            "Small marks: pairs or networks. Large: their mean with the 95 % interval. Networks "
            "that were not trained lie far to the left: see the whole axis.",
            "unseen",
            f"{name}, left out: {words(left_out)}" if several else name,
        )

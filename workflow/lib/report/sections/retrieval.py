"""Neighbours: is what lies near a network like it?"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.experiments.statistics import bootstrap_interval
from lib.report.blocks import Block, Cell, Figure, Headline, Note, Rows, Table, Text, Verdict
from lib.report.marks import categories
from lib.report.methods import label, look
from lib.report.section import PageData, Section
from lib.report.style import MUTED, interval, layout, percent, share_axis

NAME = "retrieval"
METHODS = ("latent", "weights", "outputs")
EVERY = "All architectures"


@dataclass(frozen=True)
class Kind:
    """What is counted of neighbours: `name` ends the names of its columns."""

    name: str
    label: str

    @property
    def value(self) -> str:
        """The column of the share of neighbours that are like the network."""
        return f"precision_{self.name}"

    @property
    def chance(self) -> str:
        """The column of that share by chance."""
        return f"chance_{self.name}"


SEVERAL = (
    Kind("architecture", "Same architecture"),
    Kind("band", "Same band of accuracy"),
    Kind("band_within", "Same band within the architecture"),
)
ALONE = (Kind("band_within", "Same band of accuracy"),)
AGREEMENT = ("agreement_within", "chance_agreement_within")


def section(page: PageData) -> Section:
    """Precision by latents, weights and answers, beside chance."""
    frame = page[NAME]
    kinds = SEVERAL if page.several else ALONE
    queries = _per_query(frame, kinds)
    blocks: list[Block] = [
        Headline(_sentence(queries, kinds)),
        Text(
            f"For every test network the {int(frame['neighbours'].max())} nearest training "
            "networks are looked up, by the distance of latents, of the weights themselves, and by "
            "how many test images they answer differently. Precision is the share of these "
            "neighbours that are like the network. Chance is what drawing them blindly would give."
        ),
        _figure(queries, kinds),
        _table(page, queries, kinds),
        Note(
            (
                "Weights of smaller architectures are filled up with zeros, as in a PRep. In a "
                "latent of the default embedder, eight of the numbers say which architecture it "
                "is; the distance counts all numbers alike. "
                if page.several
                else ""
            )
            + "Bands are thirds of the training networks by validation accuracy"
            + ("; within an architecture, of its own alone" if page.several else "")
            + ". Intervals: 95 %, by resampling the test networks."
        ),
    ]
    title = "Neighbours: what lies near a network?"
    return Section(NAME, title, "Neighbours", blocks, [_verdict(queries, kinds)])


def _per_query(frame: pd.DataFrame, kinds: Sequence[Kind]) -> pd.DataFrame:
    """One row per method and query, averaged over seeds; the latent first."""
    values = [column for kind in kinds for column in (kind.value, kind.chance)]
    found = frame.groupby(["method", "architecture", "network"], sort=False)
    found = found[[*values, *AGREEMENT]].mean().reset_index()
    order = found["method"].map({name: k for k, name in enumerate(METHODS)})
    return found.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def _sentence(queries: pd.DataFrame, kinds: Sequence[Kind]) -> str:
    """What the data say, in plain words."""
    texts, latent = [], queries[queries["method"] == "latent"]
    for kind in kinds:
        found = [
            f"{percent(part[kind.value].mean())} by {label(str(method), NAME).lower()}"
            for method, part in queries.groupby("method", sort=False)
        ]
        gain = latent[kind.value] - latent[kind.chance]
        _, low, high = bootstrap_interval(gain, kind.name, "change")
        word = "better than" if low > 0 else "worse than" if high < 0 else "not told from"
        texts.append(
            f"{kind.label.lower()}: {', '.join(found)} (latents {word} chance, "
            f"{percent(latent[kind.chance].mean())})"
        )
    return f"Among the nearest training networks, {'; '.join(texts)}."


def _verdict(queries: pd.DataFrame, kinds: Sequence[Kind]) -> Verdict:
    latent = queries[queries["method"] == "latent"]
    texts = [
        f"{kind.label.lower()} {percent(latent[kind.value].mean())} "
        f"(chance {percent(latent[kind.chance].mean())})"
        for kind in kinds
    ]
    return Verdict(
        "note",
        "Is what lies near a network like it?",
        f"Of the nearest training networks by latents: {', '.join(texts)}",
        "No threshold set; beside weights, answers and chance",
        NAME,
    )


def _figure(queries: pd.DataFrame, kinds: Sequence[Kind]) -> Figure:
    figure = go.Figure(layout=layout(340))
    for number, method in enumerate(METHODS):
        part, shown = queries[queries["method"] == method], look(method, NAME)
        found = [bootstrap_interval(part[kind.value], kind.name, method) for kind in kinds]
        mean, low, high = (np.nan_to_num(column) for column in np.array(found).T)
        figure.add_scatter(
            x=[place + 0.18 * (number - 1) for place in range(len(kinds))],
            y=mean,
            mode="markers",
            name=shown.label,
            marker={"color": shown.color, "symbol": shown.symbol, "size": 11},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": high - mean,
                "arrayminus": mean - low,
                "color": shown.color,
                "thickness": 1.8,
                "width": 4,
            },
            hovertemplate=f"{shown.label}<br>precision %{{y:.1%}}<extra></extra>",
        )
    chance = queries.drop_duplicates("network")
    for place, kind in enumerate(kinds):
        level = chance[kind.chance].mean()
        figure.add_scatter(
            x=[place - 0.36, place + 0.36],
            y=[level, level],
            mode="lines",
            name="Chance",
            showlegend=place == 0,
            line={"color": MUTED, "width": 1.5, "dash": "dot"},
            hovertemplate="chance %{y:.1%}<extra></extra>",
        )
    texts = ["<br>".join(textwrap.wrap(kind.label, 18)) for kind in kinds]
    figure.update_xaxes(categories(texts))
    figure.update_yaxes(share_axis("Precision", range=[0, 1.04]))
    return Figure(
        "fig-retrieval",
        figure,
        "Precision of neighbours by latents, weights and answers, beside chance.",
        "Mean over test networks with the 95 % interval, by resampling them.",
        NAME,
    )


def _table(page: PageData, queries: pd.DataFrame, kinds: Sequence[Kind]) -> Table:
    rows, values = Rows(), [*(kind.value for kind in kinds), AGREEMENT[0]]
    chances = [*(kind.chance for kind in kinds), AGREEMENT[1]]
    groups = (EVERY, *page.shown(queries)) if page.several else (EVERY,)
    for name in groups:
        inside = queries if name == EVERY else queries[queries["architecture"] == name]
        group = name if page.several else ""
        for method, part in inside.groupby("method", sort=False):
            cells = []
            for value in values:
                mean, low, high = bootstrap_interval(part[value], value, str(method), name)
                cells.append(Cell(percent(mean), interval(low, high)))
            strong = method == "latent"
            rows.add(label(str(method), NAME), *cells, group=group, strong=strong)
        drawn = inside.drop_duplicates("network")
        rows.add("Chance", *(percent(drawn[column].mean()) for column in chances), group=group)
    within = " within the architecture" if page.several else ""
    return rows.table(
        "table-retrieval",
        ("Nearest by", *(kind.label for kind in kinds), f"Agreement{within}"),
        "Mean over test networks; below it the 95 % interval. Agreement: how often the network and "
        "its neighbours of the same architecture give the same answer on test images.",
        NAME,
    )

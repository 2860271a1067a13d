"""Are decoded and drawn networks new, or copies of training networks? Figures and table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import (
    Block,
    Control,
    Figure,
    Figures,
    Glossary,
    Headline,
    Note,
    Rows,
    Table,
    Text,
)
from lib.report.cells import distance, share
from lib.report.marks import legend_mark, made_of
from lib.report.methods import BANDS, glossary, label, look
from lib.report.section import PageData, Section
from lib.report.sections import novelty_judged as judged
from lib.report.style import layout, percent, share_axis

NAME = "novelty"
EVERY = "All architectures"
MADE = ("decoded_test", "decoded_training", "midpoint", "interpolated", "kde", "mixture")
KINDS = (*MADE, "held_out", "training", "noise")
OWN = ("decoded_training", "noise")  # made of a training network each
# Id, columns, title of the horizontal axis, title, caption.
AXES = (
    (
        "fig-novelty-distance",
        ("weight_distance", "agreement"),
        "Distance of weights to the nearest",
        "In weights and in answers",
        "Copies lie top left: the same weights, the same answers. The more to the right, the less "
        "the weights have to do with those of any training network; the further down, the less "
        "the answers.",
    ),
    (
        "fig-novelty-accuracy",
        ("accuracy", "agreement"),
        "Test accuracy",
        "In answers, at equal accuracy",
        "Good networks agree because both are right; so nearness to a training network has to be "
        "compared at the same accuracy, from top to bottom.",
    ),
    (
        "fig-novelty-errors",
        ("accuracy", "error_overlap"),
        "Test accuracy",
        "In errors, at equal accuracy",
        "Poor networks get most images wrong and so have most errors in common: compare at the "
        "same accuracy, from top to bottom.",
    ),
)
TITLES = {
    "agreement": "Agreement with the nearest",
    "error_overlap": "Errors in common with the nearest",
}


def section(page: PageData) -> Section:
    """Every network beside the training network nearest to it."""
    frame = page[NAME]
    shown, kinds = page.shown(frame), [kind for kind in KINDS if kind in set(frame["kind"])]
    drawn = page.told(frame, judged.drawn)
    figures, owners = [], {}
    for axes in AXES:
        figure, shown_for = _scatter(frame, shown, kinds, *axes)
        figures.append(figure)
        owners[figure.id] = shown_for
    options = {EVERY: EVERY} | {name: name for name in shown}
    control = Control.owners("control-novelty", "Networks of", options, owners)
    blocks: list[Block] = [
        Headline(judged.sentence(frame)),
        *[Headline(f"{text}.") for text in drawn],
        Text(
            "Every network is compared with all training networks of its architecture; what "
            "counts is the nearest one, in weights and in answers on the test images. A copy lies "
            "top left in the first picture. What is known to be new stands beside: held-out "
            "networks, and training networks among themselves. So does what is known to be a "
            "copy: training networks with as much noise as leaves them as accurate as decoded "
            "ones."
        ),
        *([control] if page.several else []),
        Figures(figures),
        _table(page, frame, shown, kinds),
        Note(
            "Distance of weights: root mean square difference in units of each layer's spread "
            "over the training networks, every layer counting the same; 0 is a copy, about 1.41 "
            "two networks that have nothing to do with each other. It is blind to the order of "
            "neurons: two networks that compute the same can be far apart. Where neurons stand in "
            "a plain chain of layers, the distance after putting them into the training network's "
            "order is given too, and is what the first sentence above takes. Errors in common: of "
            "the images that either network gets wrong, the share that both do. New: no nearer to "
            "a training network than held-out networks are. Copies: as near as training networks "
            "with noise, or nearer."
        ),
        Glossary("What the kinds are", glossary(kinds, NAME)),
    ]
    return Section(
        NAME, "New networks, or copies?", "Novelty", blocks, judged.verdicts(frame, drawn)
    )


def _scatter(
    frame: pd.DataFrame,
    shown: Sequence[str],
    kinds: Sequence[str],
    id: str,
    columns: tuple[str, str],
    across: str,
    title: str,
    caption: str,
) -> tuple[Figure, list[str | frozenset[str] | None]]:
    """Networks by two columns, and the architectures with which each trace is shown."""
    x, y = columns
    figure, owners = go.Figure(layout=layout(440)), []
    for name in shown:
        for kind in kinds:
            part = frame[(frame["architecture"] == name) & (frame["kind"] == kind)]
            nearest = part["nearest_weights" if x == "weight_distance" else "nearest_outputs"]
            kind_look = look(kind, NAME)
            figure.add_scatter(
                x=part[x],
                y=part[y],
                mode="markers",
                name=kind_look.label,
                legendgroup=kind,
                showlegend=False,
                marker=made_of(kind_look, kind in MADE),
                customdata=list(zip(part["network"], nearest, strict=True)),
                hovertemplate=(
                    f"<b>%{{customdata[0]}}</b><br>{kind_look.label.lower()}<br>nearest: "
                    f"%{{customdata[1]}}<br>{across.lower()} %{{x}}, "
                    f"{TITLES[y].split(' with')[0].lower()} %{{y:.1%}}<extra></extra>"
                ),
            )
            owners.append(frozenset((EVERY, name)))
    for kind in kinds:
        legend_mark(figure, look(kind, NAME), kind)
        owners.append(None)
    if x == "accuracy":
        figure.update_xaxes(share_axis(across))
    else:
        figure.update_xaxes(title={"text": across}, rangemode="tozero", hoverformat=".2f")
    figure.update_yaxes(share_axis(TITLES[y]))
    words = f"{across} and {TITLES[y].lower()} training network, network by network."
    return Figure(id, figure, words, caption, NAME, title), owners


def _groups(
    page: PageData, frame: pd.DataFrame, shown: Sequence[str]
) -> dict[str, tuple[pd.DataFrame, bool]]:
    """Rows by what the table's list chooses, and whether they are of one band alone."""
    groups = {EVERY if page.several else "all accuracies": (frame, False)}
    for name in shown:
        inside = frame[frame["architecture"] == name]
        if page.several:
            groups[name] = inside, False
        for band, words in BANDS.items():
            of_band = inside[inside["band"] == band]
            if {"kde", "mixture"} & set(of_band["kind"]):
                groups[f"{words}, {name}" if page.several else words] = of_band, True
    return groups


def _table(
    page: PageData, frame: pd.DataFrame, shown: Sequence[str], kinds: Sequence[str]
) -> Table:
    """Nearness to the training networks, by architecture and by band."""
    rows = Rows()
    columns = ("accuracy", "weight_distance", "aligned_distance", "agreement", "error_overlap")
    for group, (inside, of_band) in _groups(page, frame, shown).items():
        for kind in kinds:
            some = inside[inside["kind"] == kind]
            some = some if of_band or kind != "noise" else some[some["band"] == ""]
            if some.empty:
                continue
            seeds = some.groupby(["architecture", "seed"])
            counts = [seeds[f"nearest_{what}"].nunique().mean() for what in ("weights", "outputs")]
            keys = ["architecture", "network"] + (["band"] if kind in ("kde", "mixture") else [])
            values = some.groupby(keys)[list(columns)].mean()
            own = (some["nearest_outputs"] == some["network"]).mean()
            rows.add(
                label(kind, NAME),
                str(len(values)),
                *(
                    distance(values[column]) if "distance" in column else share(values[column])
                    for column in columns
                ),
                " / ".join(f"{count:.3g}" for count in counts),
                percent(own) if kind in OWN else "–",
                group=group,
                strong=kind in MADE,
            )
    return rows.table(
        "table-novelty",
        (
            "Networks",
            "Count",
            "Test accuracy",
            "Distance of weights",
            "The same, neurons aligned",
            "Agreement",
            "Errors in common",
            "Different nearest: weights / answers",
            "Nearest in answers is its own original",
        ),
        "To the nearest training network by each measure; mean over networks, below it the 95 % "
        "interval. Aligned: only architectures that are chains of layers. Different nearest: how "
        "many training networks of an architecture are nearest to any of these. Test networks "
        "belong to the band of their own validation accuracy.",
        NAME,
    )

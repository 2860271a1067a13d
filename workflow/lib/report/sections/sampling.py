"""Networks drawn from the space, as they are and trained further."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import (
    Block,
    Cell,
    Control,
    Figure,
    Glossary,
    Headline,
    Rows,
    Table,
    Text,
    Verdict,
)
from lib.report.cells import share
from lib.report.marks import categories, count_of
from lib.report.methods import BANDS, glossary, label, look
from lib.report.section import PageData, Section
from lib.report.style import layout, percent, share_axis

NAME = "sampling"
KINDS = ("kde", "mixture", "noise", "training", "initialised")
WORDS = {
    "kde": "drawn from kernels",
    "mixture": "from a mixture",
    "noise": "noisy training networks",
    "initialised": "fresh ones",
}


def section(page: PageData) -> Section:
    """Drawn networks and their controls, in bands of accuracy, after so many epochs."""
    frame = page[NAME]
    told = page.told(frame, _told)
    figure, control = _figure(page, frame)
    blocks: list[Block] = [
        *[Headline(f"{text}.") for text in told],
        Text(
            "A density is fitted to the latents of a third of the training networks by accuracy, "
            "and latents are drawn from it and decoded. Some of the networks are then trained on, "
            "as are noisy training networks and fresh ones."
        ),
        control,
        figure,
        _table(page, frame),
        Glossary("What the kinds are", glossary(KINDS, NAME)),
    ]
    question = "Are networks drawn from the space good, and a good start?"
    verdict = Verdict.told(question, ". ".join(told), NAME)
    return Section(NAME, "Networks drawn from the space", "Sampling", blocks, [verdict])


def bands_of(frame: pd.DataFrame) -> list[str]:
    """The bands that a table has rows of, the best first."""
    return [band for band in BANDS if band in set(frame["band"])]


def when(epochs: int) -> str:
    """How networks are that were trained for so many epochs after they were drawn."""
    return "As drawn" if epochs == 0 else f"After {count_of(epochs, 'epoch')}"


def _of(frame: pd.DataFrame, kind: str, band: str) -> pd.DataFrame:
    """Networks of a kind that belong to a band; initialised ones belong to none."""
    own = "" if kind == "initialised" else band
    return frame[(frame["kind"] == kind) & (frame["band"] == own)]


def _told(frame: pd.DataFrame) -> str:
    texts = []
    for epochs in sorted(set(frame["epochs"]))[:2]:
        part, found = frame[frame["epochs"] == epochs], []
        for kind, words in WORDS.items():
            some = _of(part, kind, "high")
            found += [f"{words} {percent(some['accuracy'].mean())}"] if len(some) else []
        if found:
            head = when(epochs) if not texts else when(epochs).lower()
            texts.append(f"{head}: {', '.join(found)}")
    return "; ".join(texts) + " (best third)" if texts else ""


def _figure(page: PageData, frame: pd.DataFrame) -> tuple[Figure, Control]:
    """Test accuracy; the control chooses the epochs and, of several, the architecture."""
    figure, names = go.Figure(layout=layout(420)), page.shown(frame)
    epochs = sorted(int(count) for count in frame["epochs"].unique())
    bands, owners = bands_of(frame)[::-1], []
    width = 0.84 / len(KINDS)
    options = {
        (name, epoch): f"{name}: {when(epoch).lower()}" if page.several else when(epoch)
        for name in names
        for epoch in epochs
    }
    for name, epoch in options:
        part = frame[(frame["architecture"] == name) & (frame["epochs"] == epoch)]
        for number, kind in enumerate(KINDS):
            shown, offset = look(kind, NAME), (number - (len(KINDS) - 1) / 2) * width
            parts = [_of(part, kind, band) for band in bands]
            marks = pd.concat([some.assign(x=k + offset) for k, some in enumerate(parts)])
            visible = (name, epoch) == next(iter(options))
            figure.add_scatter(
                x=marks["x"],
                y=marks["accuracy"],
                mode="markers",
                name=shown.label,
                legendgroup=kind,
                visible=visible,
                marker={"color": shown.color, "symbol": shown.symbol, "size": 7, "opacity": 0.55},
                text=marks["network"],
                hovertemplate=f"{shown.label}<br>%{{text}}: %{{y:.1%}}<extra></extra>",
            )
            figure.add_scatter(
                x=[k + offset for k in range(len(bands))],
                y=[some["accuracy"].mean() for some in parts],
                mode="markers",
                legendgroup=kind,
                showlegend=False,
                visible=visible,
                marker={
                    "color": shown.color,
                    "symbol": "line-ew",
                    "size": 14,
                    "line": {"color": shown.color, "width": 3},
                },
                hovertemplate=f"{shown.label}: mean %{{y:.1%}}<extra></extra>",
            )
            owners += [(name, epoch)] * 2
    figure.update_xaxes(categories([BANDS[band] for band in bands]))
    figure.update_yaxes(share_axis("Test accuracy"), range=[0, 1.03])
    id = "fig-sampling"
    return (
        Figure(
            id,
            figure,
            "Test accuracy of drawn networks and their controls in three bands of accuracy.",
            "Bars are means. A network is drawn for a third of the training networks by accuracy; "
            "initialised networks belong to none and stand beside each.",
            NAME,
        ),
        Control.owners("control-sampling", "Networks", options, {id: owners}),
    )


def _table(page: PageData, frame: pd.DataFrame) -> Table:
    """Accuracy of drawn networks and controls, as they are and after some epochs."""
    epochs, rows = sorted(int(count) for count in frame["epochs"].unique()), Rows()
    for name in page.shown(frame):
        inside = frame[frame["architecture"] == name]
        for band in bands_of(inside):
            for kind in KINDS:
                part = _of(inside, kind, band)
                if part.empty:
                    continue
                by = [part.loc[part["epochs"] == epoch, "accuracy"] for epoch in epochs]
                rows.add(
                    label(kind, NAME),
                    str(len(by[0])),
                    *(share(some) if len(some) else Cell("–") for some in by),
                    group=f"{BANDS[band]}, {name}" if page.several else BANDS[band],
                    strong=kind in ("kde", "mixture"),
                )
    return rows.table(
        "table-sampling",
        ("Networks", "Count", *map(when, epochs)),
        "Test accuracy, below it the 95 % interval over networks. Drawn for a third of the "
        "training networks by accuracy; fewer networks are trained on than are drawn.",
        NAME,
        chooser="Drawn for the",
    )

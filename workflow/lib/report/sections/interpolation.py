"""What lies between two networks: of the two extreme architectures, and of one architecture."""

from __future__ import annotations

import pandas as pd

from lib.experiments.measures import barriers
from lib.report.blocks import (
    Block,
    Figures,
    Glossary,
    Heading,
    Headline,
    Note,
    Rows,
    Table,
    Text,
    Verdict,
)
from lib.report.cells import points, share
from lib.report.methods import ENDS, glossary, label, ordered
from lib.report.section import PageData, Section
from lib.report.sections import extremes
from lib.report.sections.walks import walks
from lib.report.style import points as in_points
from lib.report.style import points_of

NAME = "interpolation"
EVERY = "any two: all pairs"
QUESTION = "Does the way between two good networks stay good?"
CLOSE = 0.1  # a barrier above it says that two networks are not connected


def section(page: PageData) -> Section:
    """Walks between the extremes, where there are several architectures, and within each."""
    frame = page[NAME]
    between, within = frame[~frame["ends"].isin(ENDS)], frame[frame["ends"].isin(ENDS)]
    blocks: list[Block] = []
    verdicts: list[Verdict] = []
    short: list[str] = []
    if len(between):
        blocks += extremes.blocks(page, between)
        verdicts += extremes.verdicts(page, between)
    if len(within):
        lost = barriers(within)
        blocks += [Heading("Between two networks of one architecture")] if len(between) else []
        blocks += _within(page, within, lost)
        verdicts.append(Verdict.told(QUESTION, _told(lost), NAME))
        short += _shortcomings(lost)
    blocks.append(Glossary("What the ways are", glossary(ordered(frame["method"]), NAME)))
    title = "Interpolation: from one network to another"
    if len(between):
        title = f"Interpolation: from {page.architectures[0]} to {page.architectures[-1]}"
    return Section(NAME, title, "Interpolation", blocks, verdicts, short)


def _within(page: PageData, frame: pd.DataFrame, lost: pd.DataFrame) -> list[Block]:
    control, figures = walks(page, frame)
    told = _told(lost)
    return [
        *([Headline(f"{told}.")] if told else []),
        Text(
            "A straight line between two test networks, in the latent space and in the weights. "
            "Two networks trained independently have their neurons in different orders, so weights "
            "are also mixed after the neurons of one are put in the order nearest to the other's, "
            "and after that with every neuron's statistics set anew."
        ),
        *control,
        Figures(figures),
        _table(page, frame, lost),
        Note(
            "The networks here have no batch norm any more: it is fused into the convolutions. So "
            "the reset of its statistics is done on the fused weights: each hidden neuron is "
            "rescaled and shifted, layer after layer in one pass over training images, until its "
            "mean and spread before activation are those interpolated between the two ends."
        ),
    ]


def _table(page: PageData, frame: pd.DataFrame, lost: pd.DataFrame) -> Table:
    """What each way between two networks loses in its middle."""
    rows = Rows()
    owner = dict(frame[["pair", "architecture"]].itertuples(index=False))
    lost = lost.assign(architecture=lost["pair"].map(owner))
    for name in page.shown(frame):
        for ends, words in (ENDS | {"": EVERY}).items():
            part = lost[lost["architecture"] == name]
            part = part[part["ends"] == ends] if ends else part
            for method in ordered(part["method"]):
                some = part[part["method"] == method]
                some = some.groupby("pair")[["midpoint", "barrier"]].mean()
                rows.add(
                    label(method, NAME),
                    str(len(some)),
                    share(some["midpoint"]),
                    points(some["barrier"]),
                    group=f"{name}: {words}" if page.several else words,
                    strong=method == "latent",
                )
    return rows.table(
        "table-interpolation-within",
        ("Way", "Pairs", "Accuracy in the middle", "Barrier, points"),
        "Barrier: mean accuracy of the two ends of the way minus that in its middle; below zero, "
        "the middle is better than the ends' mean. No network is in two pairs; below a mean its "
        "95 % interval over pairs. The ends of the latent way are decoded networks, of the others "
        "the networks themselves.",
        NAME,
        chooser="Between",
    )


def _good(lost: pd.DataFrame) -> dict[str, float]:
    """Mean barrier between two good networks, by method in the order of the vocabulary."""
    means = lost[lost["ends"] == "good"].groupby("method")["barrier"].mean()
    return {method: means[method] for method in ordered(means.index)}


def _told(lost: pd.DataFrame) -> str:
    means = _good(lost)
    if not means:
        return ""
    parts = [f"{label(method, NAME).lower()} {in_points(-lost)}" for method, lost in means.items()]
    return f"Accuracy in the middle against the two ends, in points: {', '.join(parts)}"


def _shortcomings(lost: pd.DataFrame) -> list[str]:
    means = _good(lost)
    if not {"aligned", "weights"} <= set(means):
        return []
    reset = means.get("aligned_reset")
    text = (
        "Aligning neurons takes the mean barrier between good networks from "
        f"{points_of(means['weights'])} to {points_of(means['aligned'])}"
    )
    text += f", resetting statistics to {points_of(reset)}" if reset is not None else ""
    if (means["aligned"] if reset is None else reset) > CLOSE:
        text += ": networks this narrow are not connected by a permutation"
    return [f"{text}."]

"""Architectures that an embedder never saw a trained network of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from lib.experiments.statistics import bootstrap_interval, bootstrap_pairs
from lib.report.blocks import (
    Block,
    Cell,
    Control,
    Figure,
    Figures,
    Glossary,
    Headline,
    Note,
    Rows,
    Table,
    Text,
    Verdict,
)
from lib.report.marks import error_bar, rows
from lib.report.methods import glossary, label, listed
from lib.report.section import PageData, Section
from lib.report.sections import unseen_finetune
from lib.report.style import MUTED, Palette, interval, layout, percent, points, share_axis

NAME = "unseen"
METHODS = ("generated", "all_four", "trained", "constant", "distilled", "initialised")
RIGHT, LOSS = 0.9, 0.03


def section(page: PageData) -> Section:
    """What is generated, beside its controls, and what becomes of it when trained further."""
    found = measure(page[NAME])
    said = list(sentences(found))
    lowest = [one.accuracy for one in found if one.method != "initialised"]
    highest = min(1.0, max(one.rows["accuracy"].max() for one in found))
    top = [min(lowest) - 0.06, highest + 0.01]
    figures = list(_figures(found, page.palette, top))
    ids = [figure.id for figure in figures]
    ends = {"Top": top, "Whole axis": [0, 1.02]}
    blocks: list[Block] = [
        Headline(said[0]),
        *map(Text, said[1:]),
        Text(
            "A second embedder is trained on networks of the other architectures alone. That "
            "there are more architectures it learns only from points between the two extremes: "
            "what is decoded there has to be classified as the architecture due, and to answer "
            "like the teacher. Its decoder starts from networks that were initialised and never "
            "trained."
        ),
        Control.zoom("control-unseen", "xaxis", ids, ends),
        Figures(figures),
        table(found),
        Note(
            "Agreement with each other: the share of test images on which two networks of a row "
            "give the same answer, on average. What is decoded from different pairs is pulled to "
            "one teacher; a decoder that always gives the same network would have 100 % here."
        ),
    ]
    if unseen_finetune.NAME in page:
        blocks += unseen_finetune.blocks(page[unseen_finetune.NAME])
    blocks.append(Glossary("What the methods are", glossary([one.method for one in found], NAME)))
    return Section(NAME, "Architectures it never saw", "Never seen", blocks, verdicts(found))


def tables(frame: pd.DataFrame, finetuning: pd.DataFrame) -> tuple[Table, Table]:
    """Both tables, for documents, from `unseen.csv` and `unseen_finetune.csv`."""
    return table(measure(frame)), unseen_finetune.table(finetuning)


@dataclass(frozen=True)
class Measured:
    """One method's networks of one left-out architecture, averaged over seeds.

    `right` and `accuracy` are means, `bounds` the 95 % interval of the accuracy, `alike` the mean
    agreement of its networks with each other.
    """

    left_out: str
    architecture: str
    method: str
    rows: pd.DataFrame
    right: float
    accuracy: float
    bounds: tuple[float, float]
    alike: float


def measure(frame: pd.DataFrame) -> list[Measured]:
    """All methods, by set left out and architecture in the order of the file, `generated` first.

    Intervals come from drawing networks, not pairs, again and again.
    """
    frame = frame.assign(right=frame["predicted_architecture"] == frame["architecture"])
    values = ["right", "accuracy", "agreement_other"]
    found = []
    for (left_out, name), part in frame.groupby(["left_out", "architecture"], sort=False):
        for method in METHODS:
            some = part[part["method"] == method].groupby("pair", sort=False)[values].mean()
            if some.empty:
                continue
            names = left_out, name, method
            pairs = some.index.str.partition(":").to_frame()
            if (pairs[1] == ":").all():
                _, *bounds = bootstrap_pairs(pairs[0], pairs[2], some["accuracy"], *names)
            else:
                _, *bounds = bootstrap_interval(some["accuracy"], *names)
            right, accuracy, alike = some.mean()
            found.append(
                Measured(*names, some.reset_index(), right, accuracy, tuple(bounds), alike)
            )
    return found


def beside(found: Sequence[Measured], one: Measured, method: str) -> Measured:
    """The same architecture and set by another method."""
    key = one.left_out, one.architecture, method
    return next(it for it in found if (it.left_out, it.architecture, it.method) == key)


def _made(found: Sequence[Measured]) -> list[Measured]:
    return [one for one in found if one.method == "generated"]


def verdicts(found: Sequence[Measured]) -> list[Verdict]:
    """The two goals for what the embedder never saw."""
    made, several = _made(found), len({one.left_out for one in found}) > 1
    gaps = [one.accuracy - beside(found, one, "trained").accuracy for one in made]
    names = [
        one.architecture + (f" (without {listed(one.left_out.split('+'))})" if several else "")
        for one in made
    ]
    return [
        Verdict(
            "reached" if min(one.right for one in made) >= RIGHT else "short",
            "Do architectures it never saw appear where they are due?",
            ", ".join(
                f"{name} for {percent(one.right)}" for name, one in zip(names, made, strict=True)
            )
            + f" of {len(made[0].rows)} pairs",
            f"At least {100 * RIGHT:.0f} % of pairs, every architecture",
            NAME,
        ),
        Verdict(
            "reached" if min(gaps) >= -LOSS else "short",
            "Are those never seen as good as trained ones?",
            ", ".join(
                f"{name} {percent(one.accuracy)} ({points(gap)} points to trained)"
                for name, one, gap in zip(names, made, gaps, strict=True)
            ),
            f"At most {100 * LOSS:.0f} points below the trained test networks' mean",
            NAME,
        ),
    ]


def sentences(found: Sequence[Measured]) -> Iterator[str]:
    """What the data say of each set left out: the answer, then how much it is worth."""
    for left_out in dict.fromkeys(one.left_out for one in found):
        made = [one for one in _made(found) if one.left_out == left_out]
        texts = []
        for one in made:
            spread = interval(*one.bounds)
            trained = percent(beside(found, one, "trained").accuracy)
            texts.append(
                f"{one.architecture} for {percent(one.right)} of {len(one.rows)} pairs, at a mean "
                f"test accuracy of {percent(one.accuracy)} ({f'{spread}; ' if spread else ''}"
                f"trained ones have {trained})"
            )
        names = listed(left_out.split("+"), "or")
        yield (
            f"An embedder that was given no network of {names} decodes, where they are due "
            f"between the extremes, {'; '.join(texts)}."
        )
        yield from (_worth(found, one) for one in made)


def _worth(found: Sequence[Measured], one: Measured) -> str:
    """Beside the controls that make light of the answer."""
    trained, all_four, constant, distilled = (
        beside(found, one, method) for method in ("trained", "all_four", "constant", "distilled")
    )
    text = (
        f"{one.architecture}, beside that: {percent(all_four.accuracy)} in the space that saw all "
        f"architectures, {percent(distilled.accuracy)} distilled from scratch in as many steps, "
        f"{percent(constant.accuracy)} for the one network from between the mean latents."
    )
    if len(one.rows) < 2 or len(trained.rows) < 2:
        return text
    return text + (
        f" Two generated networks give the same answer on {percent(one.alike)} of the test "
        f"images, two trained ones on {percent(trained.alike)}: generated ones differ "
        f"{'less' if one.alike > trained.alike else 'as much or more'} from each other."
    )


def _figures(
    found: Sequence[Measured], palette: Palette, ends: Sequence[float]
) -> Iterator[Figure]:
    """Test accuracy of every method, one figure per set left out and architecture."""
    several = len({one.left_out for one in found}) > 1
    keys = dict.fromkeys((one.left_out, one.architecture) for one in found)
    for number, (left_out, name) in enumerate(keys):
        part = [one for one in found if (one.left_out, one.architecture) == (left_out, name)]
        figure = go.Figure(layout=layout(48 * len(part) + 90))
        titles = [label(one.method, NAME) for one in part]
        for place, (one, title) in enumerate(zip(part, titles, strict=True)):
            color = palette.color(name) if one.method == "generated" else MUTED
            marker = {"color": color, "symbol": palette.symbol(name)}
            figure.add_scatter(
                x=one.rows["accuracy"],
                y=[-place - 0.14] * len(one.rows),
                mode="markers",
                marker=marker | {"size": 5},
                opacity=0.4,
                showlegend=False,
                text=one.rows["pair"].str.replace(":", " to "),
                hovertemplate="%{text}<br>test accuracy %{x:.1%}<extra></extra>",
            )
            figure.add_scatter(
                x=[one.accuracy],
                y=[-place + 0.14],
                mode="markers",
                error_x=error_bar(one.accuracy, *one.bounds, color),
                marker=marker | {"size": 11},
                showlegend=False,
                hovertemplate=f"{title}<br>mean %{{x:.1%}}<extra></extra>",
            )
        figure.update_yaxes(rows(titles))
        figure.update_xaxes(share_axis("Test accuracy", range=list(ends)))
        yield Figure(
            f"fig-unseen-{number}",
            figure,
            f"Test accuracy of {name}: generated without a trained one, and controls.",
            "Small marks: pairs or networks. Large: their mean with the 95 % interval. Networks "
            "that were not trained lie far to the left: see the whole axis.",
            NAME,
            f"{name}, left out: {listed(left_out.split('+'))}" if several else name,
        )


def table(found: Sequence[Measured]) -> Table:
    """What is generated, beside its controls."""
    built, several = Rows(), len({one.left_out for one in found}) > 1
    for one in found:
        trained = beside(found, one, "trained")
        latent = one.method in ("generated", "all_four", "constant")
        built.add(
            Cell(one.architecture, f"without {listed(one.left_out.split('+'))}" if several else ""),
            label(one.method, NAME),
            str(len(one.rows)),
            percent(one.right) if latent else "–",
            Cell(percent(one.accuracy), interval(*one.bounds)),
            points(one.accuracy - trained.accuracy),
            percent(one.alike) if len(one.rows) > 1 else "–",
            strong=one.method == "generated",
        )
    return built.table(
        "table-unseen",
        (
            "Architecture",
            "Method",
            "Pairs or networks",
            "Predicted as due",
            "Test accuracy",
            "To trained, points",
            "Agreement with each other",
        ),
        "Every pair counts with the accuracy of what was decoded, whatever was predicted. 95 % "
        "intervals from resampling networks, on both sides of a pair: pairs share networks.",
        NAME,
        heads=2,
    )

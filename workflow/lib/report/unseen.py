"""The report's section on architectures that an embedder never saw a trained network of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lib.evaluate.statistics import bootstrap_interval
from lib.report.blocks import Cell, Choice, Control, Figure, Table
from lib.report.figures import unseen as drawn
from lib.report.style import Palette, interval, percent, points
from lib.report.unseen_summary import (
    METHODS,
    Measured,
    beside,
    measure,
    sentences,
    tuning_sentences,
    words,
)


@dataclass(frozen=True)
class Section:
    """What the section shows."""

    sentences: Sequence[str]
    tuning: Sequence[str]
    control: Control
    figures: Sequence[Figure]
    table: Table
    finetuning: Table
    glossary: Sequence[tuple[str, str]]


def section(frame: pd.DataFrame, finetuning: pd.DataFrame, palette: Palette) -> Section:
    """The whole section, from `unseen.csv` and `unseen_finetune.csv`."""
    found = measure(frame)
    lowest = [one.accuracy for one in found if one.method != "initialised"]
    top = [min(lowest) - 0.06, min(1.0, max(one.rows["accuracy"].max() for one in found)) + 0.01]
    figures = list(drawn.figures(found, palette, top))
    ids = [figure.id for figure in figures]
    choices = [
        Choice(text, ranges={key: {"xaxis": ends} for key in ids})
        for text, ends in (("Top", top), ("Whole axis", [0, 1.02]))
    ]
    return Section(
        list(sentences(found)),
        list(tuning_sentences(finetuning)),
        Control("control-unseen", "Horizontal axis", choices),
        figures,
        _table(found),
        _tuning_table(finetuning),
        [METHODS[name] for name in dict.fromkeys(one.method for one in found)],
    )


def tables(frame: pd.DataFrame, finetuning: pd.DataFrame) -> tuple[Table, Table]:
    """What is generated beside its controls, and what becomes of it when trained further."""
    return _table(measure(frame)), _tuning_table(finetuning)


def _table(found: Sequence[Measured]) -> Table:
    rows, several = [], len({one.left_out for one in found}) > 1
    for one in found:
        trained, spread = beside(found, one, "trained"), interval(*one.bounds)
        latent = one.method in ("generated", "all_four", "constant")
        rows.append(
            [
                Cell(one.architecture, f"without {words(one.left_out)}" if several else ""),
                Cell(METHODS[one.method][0]),
                Cell(str(len(one.rows))),
                Cell(percent(one.right) if latent else "–"),
                Cell(percent(one.accuracy), spread),
                Cell(points(one.accuracy - trained.accuracy)),
                Cell(percent(one.alike) if len(one.rows) > 1 else "–"),
            ]
        )
    return Table(
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
        rows,
        "Every pair counts with the accuracy of what was decoded, whatever was predicted. 95 % "
        "intervals from resampling networks, on both sides of a pair: pairs share networks.",
        "unseen",
        heads=2,
        strong=[one.method == "generated" for one in found],
    )


def _tuning_table(frame: pd.DataFrame) -> Table:
    titles = {
        "generated": "Generated, as it is",
        "finetuned": "Generated, trained further",
        "scratch": "From scratch",
    }
    rows, strong, several = [], [], frame["left_out"].nunique() > 1
    keys = ["left_out", "architecture", "method", "epochs"]
    groups = [
        group
        for _, part in frame.groupby(keys[:2], sort=False)
        for group in part.groupby(keys, sort=False)
    ]
    for (left_out, name, method, epochs), part in groups:
        accuracies = part.groupby("network")["accuracy"].mean()
        mean, *bounds = bootstrap_interval(accuracies, left_out, name, method, str(epochs))
        rows.append(
            [
                Cell(name, f"without {words(left_out)}" if several else ""),
                Cell(titles[method]),
                Cell(str(epochs)),
                Cell(str(len(accuracies))),
                Cell(percent(part["train_accuracy"].mean())),
                Cell(percent(mean), interval(*bounds)),
            ]
        )
        strong.append(method == "finetuned")
    return Table(
        "table-unseen-finetune",
        ("Architecture", "Networks", "Epochs", "Count", "Training accuracy", "Test accuracy"),
        rows,
        "Generated networks have no batch norm and are trained on without it; from scratch, "
        "networks are trained as the zoo is, with its learning rate falling over these epochs. "
        "Mean over networks with the 95 % interval.",
        "unseen_finetune",
        heads=2,
        strong=strong,
    )

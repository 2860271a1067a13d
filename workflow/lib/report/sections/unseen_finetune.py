"""Networks of architectures never seen, trained further: a part of the section `unseen`."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lib.experiments.statistics import bootstrap_interval
from lib.report.blocks import Block, Cell, Heading, Rows, Table, Text
from lib.report.methods import label, listed
from lib.report.style import interval, percent

NAME = "unseen_finetune"


def blocks(frame: pd.DataFrame) -> list[Block]:
    """What one more epoch does, beside training from scratch."""
    return [Heading("A start for training"), *map(Text, sentences(frame)), table(frame)]


def sentences(frame: pd.DataFrame) -> Iterator[str]:
    """The same in words, for each architecture."""
    for (_, name), part in frame.groupby(["left_out", "architecture"], sort=False):
        means = part.groupby(["method", "epochs"])[["accuracy", "train_accuracy"]].mean()
        scratch = means["accuracy"]["scratch"]
        reached = " / ".join(percent(value) for value in scratch)
        known = percent(means["train_accuracy"]["generated", 0])
        yield (
            f"One epoch of training takes generated {name} networks, which get {known} of the "
            f"training images right to begin with, from "
            f"{percent(means['accuracy']['generated', 0])} to "
            f"{percent(means['accuracy']['finetuned', 1])} of the test images; from scratch, "
            f"networks reach {reached} after {' / '.join(map(str, scratch.index))} "
            f"{'epoch' if list(scratch.index) == [1] else 'epochs'}."
        )


def table(frame: pd.DataFrame) -> Table:
    """Accuracies by architecture, method and epochs."""
    rows, several = Rows(), frame["left_out"].nunique() > 1
    for (left_out, name), part in frame.groupby(["left_out", "architecture"], sort=False):
        without = listed(left_out.split("+"))
        for (method, epochs), some in part.groupby(["method", "epochs"], sort=False):
            accuracies = some.groupby("network")["accuracy"].mean()
            mean, *bounds = bootstrap_interval(accuracies, left_out, name, method, str(epochs))
            rows.add(
                Cell(name, f"without {without}" if several else ""),
                label(method, NAME),
                str(epochs),
                str(len(accuracies)),
                percent(some["train_accuracy"].mean()),
                Cell(percent(mean), interval(*bounds)),
                strong=method == "finetuned",
            )
    return rows.table(
        "table-unseen-finetune",
        ("Architecture", "Networks", "Epochs", "Count", "Training accuracy", "Test accuracy"),
        "Generated networks have no batch norm and are trained on without it; from scratch, "
        "networks are trained as the zoo is, with its learning rate falling over these epochs. "
        "Mean over networks with the 95 % interval.",
        NAME,
        heads=2,
    )

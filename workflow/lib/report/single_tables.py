"""Tables of the report on one architecture: what comes back, walks, optimisation, moves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.evaluate.performance import BANDS as FIFTHS
from lib.evaluate.performance import bands, barriers
from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Cell, Table
from lib.report.cells import number, points, share
from lib.report.single_style import BAND_NAMES, BANDS, KEPT, MOVED, TUNED, WALKS
from lib.report.style import interval, percent

EVERY = "any two: all pairs"
ENDS = {"good": "two good networks", "mixed": "a poor and a good one"}


def kept(whole: pd.DataFrame, networks: pd.DataFrame) -> Table:
    """What comes back of held-out networks, method by method."""
    rows, strong = [], []
    for method in [*KEPT, *(m for m in whole.index if m not in KEPT)]:
        if method not in whole.index:
            continue
        row, own = whole.loc[method], networks[networks["method"] == method]
        rows.append(
            [
                Cell(KEPT[method].label if method in KEPT else method.replace("_", " ")),
                Cell(*_error(own["error"])),
                Cell(number(row["correlation"], 3)),
                Cell(number(row["r2"], 3)),
                Cell(number(row["kendall_tau"], 3)),
                share(own["agreement"]),
                share(own["agreement_other"]),
                Cell(f"{row['compression']:.1f}x" if np.isfinite(row["compression"]) else "–"),
            ]
        )
        strong.append(method in ("decoded", "refined"))
    return Table(
        "table-single-kept",
        (
            "What comes back",
            "Error of accuracy, points",
            "Correlation",
            "R²",
            "Kendall tau",
            "Agreement with own target",
            "With others",
            "Compression",
        ),
        rows,
        "Held-out networks on test images; below a mean its 95 % interval over networks. Error: "
        "mean |accuracy of the target - accuracy of what came back|. Others: targets of about the "
        "same accuracy. Compression: weights of the network over numbers of the latent.",
        "reconstruction",
        strong=strong,
    )


def _error(values: pd.Series) -> tuple[str, str]:
    mean, low, high = (100 * value for value in mean_interval(values))
    return f"{mean:.1f}", f"{max(low, 0.0):.1f} to {high:.1f}" if np.isfinite(low) else ""


def walks(frame: pd.DataFrame) -> Table:
    """What each way between two networks loses in its middle."""
    lost, rows, group, strong = barriers(frame), [], [], []
    for ends, words in (ENDS | {"": EVERY}).items():
        part = lost if not ends else lost[lost["ends"] == ends]
        for method, look in WALKS.items():
            some = part[part["method"] == method]
            some = some.groupby("pair")[["midpoint", "barrier"]].mean()
            if some.empty:
                continue
            rows.append(
                [
                    Cell(look.label),
                    Cell(str(len(some))),
                    share(some["midpoint"]),
                    points(some["barrier"]),
                ]
            )
            group.append(words)
            strong.append(method == "latent")
    return Table(
        "table-single-walks",
        ("Way", "Pairs", "Accuracy in the middle", "Barrier, points"),
        rows,
        "Barrier: mean accuracy of the two ends of the way minus that in its middle; below zero, "
        "the middle is better than the ends' mean. No network is in two pairs; below a mean its "
        "95 % interval over pairs. The ends of the latent way are decoded networks, of the others "
        "the networks themselves.",
        "interpolation",
        group=group,
        strong=strong,
        chooser="Between",
    )


def tuned(frame: pd.DataFrame) -> Table:
    """Test accuracy at the chosen step, by where a run started."""
    chosen = frame[frame["test_accuracy"].notna()]
    random = chosen["start"].astype(str).str.startswith("random-")
    rows, strong = [], []
    for method, look in TUNED.items():
        both = method in ("latent", "weights")
        for words, some in (
            (
                "poor networks' latents" if both else "",
                chosen[(chosen["method"] == method) & ~random],
            ),
            ("random latents", chosen[(chosen["method"] == method) & random]),
        ):
            if some.empty:
                continue
            first = frame[(frame["method"] == method) & frame["start"].isin(some["start"])]
            first = first[first["step"] == 0]["validation_accuracy"].mean()
            rows.append(
                [
                    Cell(look.label, words),
                    Cell(str(len(some))),
                    Cell(percent(first) if method != "best_of_zoo" else "–"),
                    Cell(f"{some['step'].median():.0f}" if method != "best_of_zoo" else "–"),
                    share(some["validation_accuracy"]),
                    share(some["test_accuracy"]),
                ]
            )
            strong.append(method == "latent")
    return Table(
        "table-single-tuned",
        (
            "Method",
            "Runs",
            "Validation accuracy at the start",
            "Chosen step, median",
            "Validation accuracy",
            "Test accuracy",
        ),
        rows,
        "The step of best validation accuracy is chosen; test images are read there only.",
        "latent_optimization",
        strong=strong,
    )


def moved(frame: pd.DataFrame) -> Table:
    """Change of accuracy at the scale that validation networks chose."""
    chosen = frame[frame["chosen"].astype(str) == "True"]
    rows, strong = [], []
    for band in [band for band in BANDS if band in set(frame["band"])]:
        for method, look in MOVED.items():
            some = chosen[(chosen["band"] == band) & (chosen["method"] == method)]
            if some.empty:
                continue
            rows.append(
                [
                    Cell(BAND_NAMES[band]),
                    Cell(look.label),
                    Cell(str(some["network"].nunique())),
                    Cell(f"{some['scale'].iloc[0]:g}".replace("-", "−")),
                    share(some["accuracy"] - some["change"]),
                    share(some["accuracy"]),
                    points(some["change"]),
                ]
            )
            strong.append(method == "latent")
    return Table(
        "table-single-moved",
        ("Networks", "Direction in", "Count", "Scale", "Before", "After", "Change, points"),
        rows,
        "The scale is that which is best for validation networks of the band on validation images; "
        "0 is to stay. Before: decoded networks, or the networks themselves. Test accuracy, below "
        "it the 95 % interval over networks.",
        "arithmetic",
        heads=2,
        strong=strong,
    )


def zoo(catalogue: pd.DataFrame, networks: pd.DataFrame) -> Table:
    """How many networks there are and how their accuracies spread over fifths of the range."""
    good, rows = catalogue[catalogue["status"] == "ok"], []
    tested = networks.drop_duplicates("network").set_index("network")["target_accuracy"]
    for split in ("train", "validation", "test"):
        part, every = (some[some["split"] == split] for some in (good, catalogue))
        values = part["validation_accuracy"]
        if split == "test":
            values = tested
        fifth = pd.Series(bands(values.to_numpy()))
        shares = " / ".join(percent((fifth == k).mean(), 0) for k in range(FIFTHS))
        rows.append(
            [
                Cell(split),
                Cell(str(len(every)), f"{len(every) - len(part)} diverged"),
                Cell(f"{part['epochs'].min()} to {part['epochs'].max()}"),
                Cell(interval(values.min(), values.max()) or "–"),
                Cell(shares),
            ]
        )
    return Table(
        "table-single-zoo",
        ("Split", "Networks", "Epochs", "Accuracy, lowest to highest, %", "In each fifth of it"),
        rows,
        "Accuracies of training and validation networks on validation images, of test networks on "
        "test images.",
        "catalogue",
    )

"""The tables of the report on one architecture, from its frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.evaluate.performance import BANDS as FIFTHS
from lib.evaluate.performance import bands, barriers
from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Cell, Table
from lib.report.single_notes import NAMES
from lib.report.single_style import BANDS, COMPARED, DRAWN, FEATURES, KEPT, MOVED, TUNED, WALKS
from lib.report.style import interval, percent, points

BAND_NAMES = {"low": "Poor third", "middle": "Middle third", "high": "Best third"}
MODELS = {"ridge": "Ridge", "boosting": "Boosting", "none": "–"}
EVERY = "any two: all pairs"
ENDS = {"good": "two good networks", "mixed": "a poor and a good one"}


def _share(values: pd.Series) -> Cell:
    mean, low, high = mean_interval(values)
    return Cell(percent(mean), interval(max(low, 0.0), min(high, 1.0)))


def _points(values: pd.Series) -> Cell:
    mean, low, high = mean_interval(values)
    return Cell(points(mean), interval(low, high, points))


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if np.isfinite(value) else "–"


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
                Cell(_number(row["correlation"], 3)),
                Cell(_number(row["r2"], 3)),
                Cell(_number(row["kendall_tau"], 3)),
                _share(own["agreement"]),
                _share(own["agreement_other"]),
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
                    _share(some["midpoint"]),
                    _points(some["barrier"]),
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
                    _share(some["validation_accuracy"]),
                    _share(some["test_accuracy"]),
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


def properties(frame: pd.DataFrame) -> Table:
    """R2 and Kendall's tau of every prediction."""
    rows, group, strong = [], [], []
    values = ["r2", "r2_low", "r2_high", "kendall_tau", "tau_low", "tau_high"]
    for target in [name for name in NAMES if name in set(frame["target"])]:
        part = frame[frame["target"] == target].groupby(["features", "model"], sort=False)[values]
        for (features, model), row in part.mean().iterrows():
            rows.append(
                [
                    Cell(FEATURES[features].label),
                    Cell(MODELS[model]),
                    Cell(_number(row["r2"]), interval(row["r2_low"], row["r2_high"], _number, 2)),
                    Cell(
                        _number(row["kendall_tau"]),
                        interval(row["tau_low"], row["tau_high"], _number, 2),
                    ),
                ]
            )
            group.append(NAMES[target])
            strong.append(features == "latent")
    return Table(
        "table-single-properties",
        ("Features", "Model", "R²", "Kendall tau"),
        rows,
        "Fitted on training networks, hyperparameters by validation networks, scored on test "
        "networks; below, the 95 % interval by resampling test networks. For test accuracy, models "
        "are fitted to validation accuracies: no test image is read before the score. Epochs and "
        "learning rates by their logarithm.",
        "property_prediction",
        heads=2,
        group=group,
        strong=strong,
        chooser="Predicted",
    )


def sampled(frame: pd.DataFrame) -> Table:
    """Accuracy of drawn networks and controls, as they are and after some epochs."""
    epochs, rows, group, strong = sorted(frame["epochs"].unique()), [], [], []
    for band in [band for band in reversed(BANDS) if band in set(frame["band"])]:
        for kind, look in DRAWN.items():
            own = "" if kind == "initialised" else band
            part = frame[(frame["kind"] == kind) & (frame["band"] == own)]
            if part.empty:
                continue
            by = {epoch: part.loc[part["epochs"] == epoch, "accuracy"] for epoch in epochs}
            rows.append(
                [
                    Cell(look.label),
                    Cell(str(len(by[0]))),
                    *(_share(some) if len(some) else Cell("–") for some in by.values()),
                ]
            )
            group.append(BAND_NAMES[band].lower())
            strong.append(kind in ("kde", "mixture"))
    titles = ("As drawn", *(f"After {k} epoch{'' if k == 1 else 's'}" for k in epochs[1:]))
    return Table(
        "table-single-sampled",
        ("Networks", "Count", *titles),
        rows,
        "Test accuracy, below it the 95 % interval over networks. Drawn for a third of the "
        "training networks by accuracy; fewer networks are trained on than are drawn.",
        "sampling",
        group=group,
        strong=strong,
        chooser="Drawn for the",
    )


def compared(frame: pd.DataFrame) -> Table:
    """Nearness to the training networks, band by band."""
    rows, group, strong = [], [], []
    for band in [band for band in reversed(BANDS) if band in set(frame["band"])]:
        for kind, look in COMPARED.items():
            some = frame[(frame["kind"] == kind) & (frame["band"] == band)]
            if some.empty:
                continue
            mean, low, high = mean_interval(some["weight_distance"])
            counts = [some[f"nearest_{what}"].nunique() for what in ("weights", "outputs")]
            rows.append(
                [
                    Cell(look.label),
                    Cell(str(len(some))),
                    _share(some["accuracy"]),
                    Cell(_number(mean), interval(low, high, _number, 2)),
                    _share(some["agreement"]),
                    _share(some["error_overlap"]),
                    Cell(" / ".join(map(str, counts))),
                ]
            )
            group.append(BAND_NAMES[band].lower())
            strong.append(kind in ("kde", "mixture"))
    return Table(
        "table-single-novelty",
        (
            "Networks",
            "Count",
            "Test accuracy",
            "Distance of weights",
            "Agreement",
            "Errors in common",
            "Different nearest: weights / answers",
        ),
        rows,
        "To the nearest training network by each measure; mean over networks, below it the 95 % "
        "interval. Test networks belong to the band of their own validation accuracy.",
        "novelty",
        group=group,
        strong=strong,
        chooser="Networks of the",
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
                    _share(some["accuracy"] - some["change"]),
                    _share(some["accuracy"]),
                    _points(some["change"]),
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

"""Tables of the report on one architecture: what a latent tells, and what is drawn from latents."""

from __future__ import annotations

import pandas as pd

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Cell, Table
from lib.report.cells import number, share
from lib.report.single_notes import NAMES
from lib.report.single_style import BAND_NAMES, BANDS, COMPARED, DRAWN, FEATURES
from lib.report.style import interval

MODELS = {"ridge": "Ridge", "boosting": "Boosting", "none": "–"}


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
                    Cell(number(row["r2"]), interval(row["r2_low"], row["r2_high"], number, 2)),
                    Cell(
                        number(row["kendall_tau"]),
                        interval(row["tau_low"], row["tau_high"], number, 2),
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
                    *(share(some) if len(some) else Cell("–") for some in by.values()),
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
                    share(some["accuracy"]),
                    Cell(number(mean), interval(low, high, number, 2)),
                    share(some["agreement"]),
                    share(some["error_overlap"]),
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

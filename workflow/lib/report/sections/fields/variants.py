"""Variants of a space of shapes: how many shapes it takes, and what else it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from lib.report.blocks import Cell, Rows, Table, Verdict
from lib.report.charts import Chart, Curve
from lib.report.methods import Look
from lib.report.style import COLORS, INK, MUTED, interval, percent, points
from lib.report.variants import Changes, Comparison, along

GOAL = 0.85  # of the own field's IoU, on held-out shapes
SPLITS = ("train", "validation", "test")
HEADS = (
    "Variant",
    "Shapes",
    "Warp",
    "CPU s",
    "Share kept: training shapes",
    "Validation shapes",
    "Test shapes",
    "IoU, test shapes",
    "Nearest training shape: share",
)


def comparison(frame: pd.DataFrame, changes: Changes, seconds: Mapping[str, float]) -> Comparison:
    """What the page shows.

    Args:
        frame: `variants.csv` of the space.
        changes: what each variant changes.
        seconds: of one processor that training a variant took.
    """
    best = chosen(frame)
    row = _of(frame, "test").loc[best]
    kept = f"{percent(row['share'])} ({interval(row['share_low'], row['share_high'])})"
    return Comparison(
        "Variants of the space of shapes",
        "One zoo of fields; embedders that know more or fewer of them, with and without warped "
        "shapes, and of other kinds. Choices are made by validation shapes; test shapes are shown "
        "for all and choose nothing. IoU is counted at points evenly in the cube.",
        f"“{best}”, the best variant on validation shapes, gives back test shapes with {kept} "
        f"of the IoU of their own fields, after {seconds[best]:.0f} s of one processor; the "
        f"nearest training shape has {percent(row['nearest_share'])}.",
        [
            Verdict(
                "reached" if row["share"] >= GOAL else "short",
                f"Does a shape that was held out come back (“{best}”)?",
                f"{kept} of the IoU of its own field",
                f"At least {100 * GOAL:.0f} %",
                "variants",
            )
        ],
        list(charts(frame, changes)),
        list(limits(frame, changes)),
        table(frame, seconds, best),
    )


def chosen(frame: pd.DataFrame) -> str:
    """The variant that keeps most of validation shapes."""
    return _of(frame, "validation")["share"].idxmax()


def _of(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    return frame[frame["split"] == split].set_index("variant")


def charts(frame: pd.DataFrame, changes: Changes) -> Iterator[Chart]:
    """The share that is kept against the number of training shapes, warp by warp."""
    rows, curves = _sizes(frame, changes), []
    if rows["trained_on"].nunique() < 2:
        return
    warps = sorted(rows["warp"].unique(), reverse=True)
    for warp, color in zip(warps, (INK, *COLORS[1:]), strict=False):
        words = f"warps of {warp:g}" if warp else "no warps"
        for split, symbol, dash, who in (
            ("test", "circle", "solid", "held out"),
            ("train", "triangle-up", "dashdot", "training shapes"),
        ):
            some = rows[(rows["warp"] == warp) & (rows["split"] == split)]
            look = Look(f"{who.capitalize()}, {words}", "", color, symbol, dash)
            curves.append(Curve(look, _by_shapes(some, "share")))
    near = rows[(rows["warp"] == warps[0]) & (rows["split"] == "test")]
    look = Look("Nearest training shape", "", MUTED, "diamond", "dash")
    curves.append(Curve(look, _by_shapes(near, "nearest_share")))
    yield Chart(
        "fig-shapes-share",
        "What is kept, by training shapes",
        "Share of the own field's IoU that decoded fields have, against the number of training "
        "shapes.",
        "Training shapes",
        "Share of the own field's IoU",
        curves,
        "Held out: test shapes. Training shapes: as many of them. Nearest: the field of the "
        "training shape whose latent is nearest, for test shapes.",
        "variants",
    )


def _sizes(frame: pd.DataFrame, changes: Changes) -> pd.DataFrame:
    """The variants that differ in training shapes and warps alone."""
    return frame[frame["variant"].isin(along(changes, "trained_on", "warp"))]


def _by_shapes(rows: pd.DataFrame, column: str) -> dict[float, float]:
    some = rows.sort_values("trained_on").drop_duplicates("trained_on")
    return some.set_index("trained_on")[column].to_dict()


def limits(frame: pd.DataFrame, changes: Changes) -> Iterator[str]:
    """What more shapes add, and how far training shapes themselves come back."""
    rows = _sizes(frame, changes)
    for warp in sorted(rows["warp"].unique(), reverse=True):
        some = rows[rows["warp"] == warp]
        held, known = (
            _by_shapes(some[some["split"] == split], "share") for split in ("validation", "train")
        )
        words = f"Warps of {warp:g}" if warp else "No warps"
        for first, last in zip(held, list(held)[1:], strict=False):
            yield (
                f"{words}, {first:,} to {last:,} shapes: {points(held[last] - held[first])} points "
                f"on validation shapes, {points(known[last] - known[first])} on training shapes."
            )
    best = chosen(frame)
    held, known = (_of(frame, split).loc[best, "share"] for split in ("validation", "train"))
    yield (
        f"“{best}” keeps {percent(known)} of training shapes and {percent(held)} of validation "
        "shapes: the difference is what more shapes could add, the rest a matter of latent, "
        "decoder and training."
    )


def table(frame: pd.DataFrame, seconds: Mapping[str, float], best: str) -> Table:
    """A row for each variant."""
    rows, (known, held, test) = Rows(), (_of(frame, split) for split in SPLITS)
    for name, row in test.iterrows():
        beside = interval(max(row["share_low"], 0.0), row["share_high"])
        if np.isfinite(row["share_spread"]):
            beside += f"; ±{100 * row['share_spread']:.2f}"
        rows.add(
            Cell(name, f"{row['seeds']} seeds" if row["seeds"] > 1 else ""),
            f"{row['trained_on']:,}",
            f"{row['warp']:g}",
            f"{seconds[name]:.0f}",
            percent(known.loc[name, "share"]),
            percent(held.loc[name, "share"]),
            Cell(percent(row["share"]), beside),
            percent(row["decoded"]),
            percent(row["nearest_share"]),
            strong=name == best,
        )
    return rows.table(
        "table-variants",
        HEADS,
        "Share: IoU of the decoded field over that of the shape's own. CPU s: of training, the "
        "median of seeds. Below a mean its 95 % interval over shapes and, of several seeds, the "
        "standard deviation of their means (±).",
        "variants",
    )

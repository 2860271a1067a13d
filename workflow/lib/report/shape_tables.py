"""The tables of the report on shapes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Cell, Table
from lib.report.cells import share
from lib.report.shape_style import METHODS, label, length, length_interval
from lib.report.shape_summary import inner
from lib.report.style import percent

ORDER = ("decoded", "siren", "nearest", "mean", "completed", "scratch")
SHARES = {
    "iou": "IoU",
    "fscore_001": "F-score at 0.01",
    "fscore_002": "F-score at 0.02",
    "normal_consistency": "Normal consistency",
}
DEFINED = (
    "Each mesh against the original mesh of the shape. IoU: volume in common over volume together. "
    "Chamfer distance: mean distance of 10,000 points on each surface to the other surface, the "
    "mean of both ways; shapes are 1.8 long. F-score: the share of such points within the given "
    "distance, harmonic mean of both ways. Normal consistency: mean |cosine| between normals. "
    "A mesh without a surface counts with zero, and with the distance of the origin. Mean over "
    "test shapes; below it the 95 % interval."
)


def glossary(methods: Sequence[str]) -> list[tuple[str, str]]:
    """What the methods are: (label, explanation)."""
    return [METHODS[name] for name in dict.fromkeys(methods) if name in METHODS]


def scores(shapes: pd.DataFrame, identifier: str, strong: str, source: str, note: str) -> Table:
    """Scores of each method over shapes; `share` of the own field's IoU where it is there."""
    order = [name for name in ORDER if name in set(shapes["method"])]
    order += [name for name in shapes["method"].unique() if name not in order]
    kept = {"share": "Of own field's IoU"} if "share" in shapes else {}
    rows = []
    for method in order:
        some = shapes[shapes["method"] == method]
        rows.append(
            [
                Cell(label(method), f"{len(some)} shapes"),
                *(share(some[column]) for column in ("iou", *kept)),
                _length(some["chamfer"]),
                *(share(some[column]) for column in list(SHARES)[1:]),
            ]
        )
    columns = ("Method", "IoU", *kept.values(), "Chamfer distance", *list(SHARES.values())[1:])
    return Table(
        identifier, columns, rows, note, source, strong=[method == strong for method in order]
    )


def made(frame: pd.DataFrame, identifier: str, strong: str, source: str, note: str) -> Table:
    """What can be said of meshes that stand for no shape in particular, by method."""
    rows, methods = [], list(dict.fromkeys(frame["method"]))
    for method in methods:
        some = frame[frame["method"] == method]
        there = some[some["parts"] > 0]
        rows.append(
            [
                Cell(label(method)),
                Cell(str(len(some))),
                Cell(percent((some["parts"] == 1).mean())),
                Cell(percent((some["parts"] == 0).mean())),
                Cell(f"{there['parts'].median():.0f}" if len(there) else "–"),
                Cell(length(there["volume"].mean(), 3)),
                _length(there["chamfer"]),
            ]
        )
    columns = (
        "Method",
        "Meshes",
        "In one piece",
        "Without a surface",
        "Pieces, median",
        "Volume, mean",
        "Chamfer distance to the nearest training shape",
    )
    return Table(
        identifier, columns, rows, note, source, strong=[method == strong for method in methods]
    )


def interpolation(frame: pd.DataFrame) -> Table:
    """The points between the ends of all pairs."""
    return made(
        inner(frame),
        "table-interpolation",
        "latent",
        "interpolation",
        "Points between the ends, all pairs. Pieces: how many connected parts a surface has.",
    )


def zoo(catalogue: pd.DataFrame) -> Table:
    """How well fields fit their shapes, split by split."""
    rows = []
    for split in ("train", "validation", "test"):
        every = catalogue[catalogue["split"] == split]
        good = every[every["status"] == "ok"]
        rows.append(
            [
                Cell(split),
                Cell(f"{len(good)} ok, {len(every) - len(good)} diverged"),
                Cell(f"{good['mse'].mean():.2g}" if len(good) else "–"),
                share(good["sign_accuracy"]),
                share(good["iou"]),
            ]
        )
    return Table(
        "table-zoo",
        ("Fields for", "Trained", "Squared error", "Signs right", "IoU at points never trained on"),
        rows,
        "Squared error and signs at the samples that a field was trained on; IoU with the mesh at "
        "points evenly in the cube. Mean over fields; below it the 95 % interval.",
        "catalogue",
    )


def _length(values: pd.Series) -> Cell:
    mean, low, high = mean_interval(values)
    return Cell(length(mean), length_interval(max(low, 0.0), high))

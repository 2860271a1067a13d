"""The zoo: the shapes, how well their fields fit them, and which meshes were left out."""

from __future__ import annotations

import pandas as pd

from lib.report.blocks import Block, Cell, Details, Note, Rows, Table, Text
from lib.report.cells import share
from lib.report.section import PageData, Section

SPLITS = ("train", "validation", "test")
LISTED = 300  # meshes that were left out, at most


def section(page: PageData) -> Section:
    """The section."""
    (parameters,) = page.parameters.values()
    return Section(
        "zoo",
        "The zoo: shapes and their fields",
        "The zoo",
        [
            Text(
                f"{counted(page['shapes'], page['left_out'])} Each field has {parameters:,} "
                f"parameters, {parameters / page.latent:.0f} for each number of a latent."
            ),
            table(page["catalogue"]),
            *_left_out(page["left_out"]),
            Note("", ("shapes", "left_out")),
        ],
    )


def counted(shapes: pd.DataFrame, left_out: pd.DataFrame) -> str:
    """How many shapes there are in each split, how many were repaired, how many left out."""
    train, validation, test = (int((shapes["split"] == split).sum()) for split in SPLITS)
    text = (
        f"{len(shapes)} shapes: {train} to train the embedder, {validation} to choose its best "
        f"state, {test} to test it."
    )
    how = shapes.loc[shapes["mended"] != "", "mended"].str.split(", volume").str[0]
    repaired = how.value_counts()
    if how := ", ".join(f"{words} ({count})" for words, count in sorted(repaired.items())):
        text += f" Repaired meshes: {how}."
    if len(left_out):
        text += f" Meshes that could not be used: {len(left_out)}."
    return text


def table(catalogue: pd.DataFrame) -> Table:
    """How well fields fit their shapes, split by split."""
    rows = Rows()
    for split in SPLITS:
        every = catalogue[catalogue["split"] == split]
        good = every[every["status"] == "ok"]
        rows.add(
            split,
            f"{len(good)} ok, {len(every) - len(good)} diverged",
            f"{good['mse'].mean():.2g}" if len(good) else "–",
            share(good["sign_accuracy"]),
            share(good["iou"]),
        )
    return rows.table(
        "table-zoo",
        ("Fields for", "Trained", "Squared error", "Signs right", "IoU at points never trained on"),
        "Squared error and signs at the samples that a field was trained on; IoU with the mesh at "
        "points evenly in the cube. Mean over fields; below it the 95 % interval.",
        "catalogue",
    )


def _left_out(frame: pd.DataFrame) -> list[Block]:
    if frame.empty:
        return []
    listed = [(Cell(file), Cell(why)) for file, why in frame[:LISTED].itertuples(index=False)]
    caption = "The first of them." if len(frame) > LISTED else "All of them."
    rows = Table("table-left-out", ("File", "Why"), listed, caption, "left_out", heads=2)
    return [Details(f"Why meshes were left out: {len(listed)} of them", [rows])]

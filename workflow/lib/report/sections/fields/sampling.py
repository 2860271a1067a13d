"""Sampling: are shapes drawn from the latent space new?"""

from __future__ import annotations

import pandas as pd

from lib.report.blocks import Figure, Text, Verdict
from lib.report.scenes import scenes_of
from lib.report.section import PageData, Section
from lib.report.sections.fields.shared import drawn, strip, words
from lib.report.surfaces import label, length


def section(page: PageData) -> Section:
    """The section."""
    frame = page["sampling"]
    return Section(
        "sampling",
        "New shapes",
        "New shapes",
        [
            Text(
                "Latents are drawn at random and decoded. Beside each new shape stands the "
                "training shape that is nearest to it, which tells how new it is."
            ),
            *scenes_of(page, "sampling"),
            figure(frame),
            drawn(
                frame,
                "sampling",
                "The distance is a mean over shapes; below it the 95 % interval. Real shapes that "
                "were never seen say how far from the training shapes a chair can well be.",
            ),
            *words(page, "sampling"),
        ],
        [verdict(frame)],
    )


def figure(frame: pd.DataFrame) -> Figure:
    """How far new shapes are from any training shape, beside real ones that were never seen."""
    return Figure(
        "fig-sampling",
        strip(frame, "chamfer", "Chamfer distance", share=False),
        "Chamfer distance of new shapes to the nearest training shape, by method",
        "Each dot is a shape. Near zero: a training shape again. As far as real shapes that were "
        "never seen, and in one piece: new.",
        "sampling",
        "Distance to the nearest training shape",
    )


def verdict(frame: pd.DataFrame) -> Verdict:
    """How far from training shapes new ones are, way by way."""
    texts = []
    for method, rows in frame.groupby("method", sort=False):
        whole = rows[rows["parts"] > 0]
        near = length(whole["chamfer"].median()) if len(whole) else "no surface at all"
        texts.append(f"{label(method).lower()} {near}")
    return Verdict(
        "note",
        "Are shapes drawn from the latent space new?",
        f"Median Chamfer distance to the nearest training shape: {'; '.join(texts)}",
        "No threshold set; beside real shapes that were never seen",
        "sampling",
    )

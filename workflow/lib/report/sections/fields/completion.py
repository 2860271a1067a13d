"""Completion: does the latent space complete a shape from a part of its surface?"""

from __future__ import annotations

import math

import pandas as pd

from lib.experiments.statistics import mean_interval
from lib.report.blocks import Text, Verdict
from lib.report.scenes import scenes_of
from lib.report.section import PageData, Section
from lib.report.sections.fields.shared import of, scores, words
from lib.report.style import interval, percent, points


def section(page: PageData) -> Section:
    """The section."""
    frame = page["completion"]
    return Section(
        "completion",
        "Completion: a shape from a part of its surface",
        "Completion",
        [
            Text(
                f"{_points(frame)} points with their normals are given, all on one side of a plane "
                "through the middle of a test shape. The latent space is searched for the latent "
                "whose decoded field fits the distances at these points and just beside them best; "
                "the decoder stays as it is. The control is a fresh field trained on the same "
                "points, and on empty space far from them."
            ),
            *scenes_of(page, "completion"),
            scores(
                frame,
                "completed",
                "completion",
                "Mean over the test shapes that were completed; below it the 95 % interval.",
            ),
            *words(page, "completion"),
        ],
        [verdict(frame)],
    )


def verdict(frame: pd.DataFrame) -> Verdict:
    """Completed shapes against fields that are fitted to the same points alone."""
    question = "Does the latent space complete a shape from a part of its surface?"
    goal = "Yes: above a field fitted to the same points, interval excluding zero"
    whole, scratch = (of(frame, method, "iou") for method in ("completed", "scratch"))
    mean, low, high = mean_interval((whole - scratch).dropna())
    if math.isnan(mean):
        return Verdict("open", question, "Not measured", goal, "completion")
    spread = interval(low, high, points)
    answer = (
        f"From {_points(frame)} points: IoU {percent(whole.mean())} against "
        f"{percent(scratch.mean())} from scratch; difference {points(mean)}"
        + (f" ({spread})" if spread else "")
    )
    state = "open" if math.isnan(low) else "reached" if low > 0 else "short"
    return Verdict(state, question, answer, goal, "completion")


def _points(frame: pd.DataFrame) -> int:
    return int(frame["points"].iloc[0])

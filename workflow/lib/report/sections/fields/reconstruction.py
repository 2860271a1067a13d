"""Reconstruction: do test shapes come back from their latents, and are they those shapes?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lib.experiments.columns import SCORES
from lib.experiments.statistics import mean_interval
from lib.report.blocks import Figure, Figures, Heading, Table, Text, Verdict
from lib.report.scenes import SHOWN, scenes_of
from lib.report.section import PageData, Section
from lib.report.sections.fields.shared import of, scores, strip, words
from lib.report.style import interval, percent, points
from lib.report.surfaces import label

SHARE = 0.70  # of the own field's IoU, that the decoded one is to reach
CONTROLS = ("nearest", "mean")
DEFINED = (
    "Each mesh against the original mesh of the shape. IoU: volume in common over volume together. "
    "Chamfer distance: mean distance of 10,000 points on each surface to the other surface, the "
    "mean of both ways; shapes are 1.8 long. F-score: the share of such points within the given "
    "distance, harmonic mean of both ways. Normal consistency: mean |cosine| between normals. "
    "A mesh without a surface counts with zero, and with the distance of the origin. Mean over "
    "test shapes; below it the 95 % interval."
)


def section(page: PageData) -> Section:
    """The section; it also has the headline of the page."""
    frame = page["reconstruction"]
    shapes = per_shape(frame)
    return Section(
        "reconstruction",
        "Reconstruction: out and back",
        "Reconstruction",
        [
            Heading("Shapes before and after"),
            Text(
                f"{shown(frame)} All meshes come from their fields by marching cubes at the same "
                "resolution, except the originals. On this page they have at most "
                f"{page.meshes.triangles:,} triangles; every number is measured on the whole "
                "meshes, which lie beside the tables as PLY files."
            ),
            *scenes_of(page, "reconstruction"),
            Heading("How alike they are"),
            Text(
                "A field cannot be better than what it was trained to, so each shape's own field "
                "stands beside the decoded one, and what a search among the training shapes gives "
                "beside both."
            ),
            table(shapes),
            *words(page, "reconstruction"),
        ],
        verdicts(shapes),
        headline=headline(shapes),
        first=[Figures(figures(shapes))],
    )


def per_shape(reconstruction: pd.DataFrame) -> pd.DataFrame:
    """One row per (method, shape), averaged over seeds; `share` is that of the own field's IoU."""
    means = reconstruction.groupby(["method", "shape"], sort=False)[list(SCORES)].mean()
    found = means.reset_index()
    own = found[found["method"] == "siren"].set_index("shape")["iou"]
    found["share"] = found["iou"] / found["shape"].map(own)
    return found


def shown(reconstruction: pd.DataFrame) -> str:
    """Which test shapes the scene has."""
    count = reconstruction["shape"].nunique()
    if count <= SHOWN:
        return f"All {count} test shapes."
    return f"The first {SHOWN} of {count} test shapes."


def headline(shapes: pd.DataFrame) -> str:
    """The answer in a few sentences."""
    decoded, own, near = (of(shapes, method, "iou") for method in ("decoded", "siren", "nearest"))
    share = of(shapes, "decoded", "share").mean()
    return (
        f"{len(decoded)} test shapes, whose fields the embedder has never seen, come back from "
        f"the latent space with {percent(decoded.mean())} of their volume in common with the "
        f"original (IoU). Their own fields reach {percent(own.mean())}, so {percent(share)} of it "
        f"is kept; the nearest training shape has {percent(near.mean())} in common."
    )


def figures(shapes: pd.DataFrame) -> list[Figure]:
    """IoU and Chamfer distance of every test shape, by method."""
    return [
        Figure(
            "fig-iou",
            strip(shapes, "iou", "IoU with the original", share=True),
            "IoU with the original mesh for each test shape, by method",
            "Each dot is a test shape, each ring the mean with its 95 % interval.",
            "reconstruction",
            "Volume in common with the original",
        ),
        Figure(
            "fig-chamfer",
            strip(shapes, "chamfer", "Chamfer distance", share=False),
            "Chamfer distance to the original mesh for each test shape, by method",
            "Lower is better; shapes are 1.8 long.",
            "reconstruction",
            "Distance to the original",
        ),
    ]


def table(shapes: pd.DataFrame) -> Table:
    """Scores of every method over test shapes."""
    return scores(shapes, "decoded", "reconstruction", DEFINED)


def verdicts(shapes: pd.DataFrame) -> Sequence[Verdict]:
    """The goals of reconstruction, each with what the data say."""
    return [_kept(shapes), _individual(shapes)]


def _kept(shapes: pd.DataFrame) -> Verdict:
    mean, low, high = mean_interval(of(shapes, "decoded", "share"))
    spread = interval(low, high)
    return Verdict(
        "reached" if mean >= SHARE else "short",
        "Does a shape that was held out come back from its latent?",
        f"Decoded fields keep {percent(mean)}{f' ({spread})' if spread else ''} of the IoU that "
        "the shapes' own fields have with the original meshes",
        f"At least {100 * SHARE:.0f} %",
        "reconstruction",
    )


def _individual(shapes: pd.DataFrame) -> Verdict:
    decoded = of(shapes, "decoded", "iou")
    found = {name: of(shapes, name, "iou") for name in CONTROLS}
    found = {name: values for name, values in found.items() if len(values)}
    question = "Is it that shape, rather than one of the training shapes or their mean?"
    goal = "Above every control, interval excluding zero"
    if not found:
        return Verdict("open", question, "Not measured", goal, "reconstruction")
    texts, lows = [], []
    for name, values in found.items():
        mean, low, high = mean_interval((decoded - values).dropna())
        spread = interval(low, high, points)
        texts.append(f"{label(name).lower()} {points(mean)}" + (f" ({spread})" if spread else ""))
        lows.append(low)
    state = "open" if any(map(math.isnan, lows)) else "reached" if min(lows) > 0 else "short"
    answer = f"IoU of decoded fields minus that of a control, in points: {'; '.join(texts)}"
    return Verdict(state, question, answer, goal, "reconstruction")

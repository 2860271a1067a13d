"""What the tables on shapes say: values per shape, and the goals held against them."""

from __future__ import annotations

import math

import pandas as pd

from lib.evaluate.statistics import mean_interval
from lib.report.shape_inputs import SCORES, ShapeData
from lib.report.shape_style import label, length
from lib.report.style import interval, percent, points
from lib.report.summary import Verdict

SHARE = 0.70  # of the own field's IoU, that the decoded one is to reach
CONTROLS = ("nearest", "mean")


def per_shape(reconstruction: pd.DataFrame) -> pd.DataFrame:
    """One row per (method, shape), averaged over seeds; `share` is that of the own field's IoU."""
    means = reconstruction.groupby(["method", "shape"], sort=False)[list(SCORES)].mean()
    found = means.reset_index()
    own = found[found["method"] == "siren"].set_index("shape")["iou"]
    found["share"] = found["iou"] / found["shape"].map(own)
    return found


def of(frame: pd.DataFrame, method: str, column: str) -> pd.Series:
    """A method's values by shape."""
    return frame[frame["method"] == method].set_index("shape")[column]


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


def verdicts(data: ShapeData) -> list[Verdict]:
    """The goals of the part, each with what the data say."""
    shapes = per_shape(data.reconstruction)
    return [
        _kept(shapes),
        _individual(shapes),
        _between(data.interpolation),
        _completed(data.completion),
        _new(data.sampling),
    ]


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


def inner(interpolation: pd.DataFrame) -> pd.DataFrame:
    """The points between the ends."""
    gamma = interpolation["gamma"]
    return interpolation[(gamma > 0) & (gamma < 1)]


def _between(interpolation: pd.DataFrame) -> Verdict:
    """One piece tells a chair from crumbs; a surface at all is less."""
    texts = []
    for method, rows in inner(interpolation).groupby("method", sort=False):
        whole, none = (rows["parts"] == 1).mean(), (rows["parts"] == 0).mean()
        texts.append(
            f"{label(method).lower()}: {percent(whole)} in one piece, {percent(none)} without a "
            "surface"
        )
    return Verdict(
        "note" if texts else "open",
        "Are there shapes on the way between two shapes?",
        f"Of the points between the ends, {'; '.join(texts)}" if texts else "Not measured",
        "No threshold set; beside the way through the weights",
        "interpolation",
    )


def _completed(completion: pd.DataFrame) -> Verdict:
    question = "Does the latent space complete a shape from a part of its surface?"
    goal = "Yes: above a field fitted to the same points, interval excluding zero"
    whole, scratch = (of(completion, method, "iou") for method in ("completed", "scratch"))
    mean, low, high = mean_interval((whole - scratch).dropna())
    if math.isnan(mean):
        return Verdict("open", question, "Not measured", goal, "completion")
    spread = interval(low, high, points)
    answer = (
        f"From {int(completion['points'].iloc[0])} points: IoU {percent(whole.mean())} against "
        f"{percent(scratch.mean())} from scratch; difference {points(mean)}"
        + (f" ({spread})" if spread else "")
    )
    state = "open" if math.isnan(low) else "reached" if low > 0 else "short"
    return Verdict(state, question, answer, goal, "completion")


def _new(sampling: pd.DataFrame) -> Verdict:
    texts = []
    for method, rows in sampling.groupby("method", sort=False):
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

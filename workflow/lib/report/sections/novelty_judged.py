"""What the table on novelty says: are decoded and drawn networks new, or copies?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.experiments.statistics import mean_interval
from lib.report.blocks import Verdict
from lib.report.cells import number
from lib.report.style import percent

NAME = "novelty"
WORDS = {
    "new": "new: no nearer to a training network than held-out networks are",
    "between": "neither new nor copies: nearer to a training network than held-out networks are, "
    "but not as near as noise around one",
    "copy": "copies: as near to a training network as noise around one, or nearer",
    "open": "too few to say",
}


@dataclass(frozen=True)
class Judgement:
    """Decoded test networks against held-out networks and noise, by one measure of nearness.

    `state` is new, between or copy, or open where there are too few; the others are means.
    """

    state: str
    decoded: float
    held_out: float
    noise: float

    def three(self, form: Callable[[float], str]) -> str:
        """The means in words."""
        return f"{form(self.decoded)}, {form(self.held_out)} and {form(self.noise)}"


def judge(frame: pd.DataFrame, column: str, sign: int) -> Judgement:
    """Hold decoded test networks against held-out ones and noise; `sign` -1 for a distance.

    No nearer to the training networks than held-out networks are: new. As near as noise, or
    nearer: a copy. Networks are averaged over seeds and compared in the order they come in,
    within each architecture, so that all architectures count.
    """
    parts = {
        kind: frame[frame["kind"] == kind].groupby(["architecture", "place"])[column].mean()
        for kind in ("decoded_test", "held_out", "noise")
    }
    decoded, held_out, noise = parts.values()
    new = mean_interval(sign * (decoded - held_out).dropna())
    copy = mean_interval(sign * (decoded - noise).dropna())
    if math.isnan(new[1]) or math.isnan(copy[1]):
        state = "open"
    elif new[1] <= 0:
        state = "new"
    elif copy[2] >= 0:
        state = "copy"
    else:
        state = "between"
    return Judgement(state, decoded.mean(), held_out.mean(), noise.mean())


def sentence(frame: pd.DataFrame) -> str:
    """What the data say of decoded test networks, in plain words."""
    frame = _prepared(frame)
    answers, weights = judge(frame, "error_overlap", 1), judge(frame, "distance", -1)
    agreement = judge(frame, "agreement", 1)
    return (
        f"In their weights, decoded test networks are {WORDS[weights.state]} (distances "
        f"{weights.three(number)} for decoded, held-out and noisy networks). "
        f"{_nearest(frame)} In their answers they are {WORDS[answers.state]} (errors in common "
        f"with the nearest training network {answers.three(percent)}; agreement "
        f"{agreement.three(percent)})."
    )


def _nearest(frame: pd.DataFrame) -> str:
    """How many different training networks are nearest to decoded networks."""
    decoded = frame[frame["kind"] == "decoded_test"]
    counts = decoded.groupby(["architecture", "seed"])["nearest_weights"].nunique()
    if counts.empty:
        return ""
    if counts.max() == 1:
        return (
            "The nearest is one and the same training network for all of an architecture: they "
            "are variations of one network."
        )
    return f"{counts.mean():.1f} different training networks of an architecture are nearest to one."


def _prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """With the place of each network among those of its kind, architecture and seed.

    `distance` is that of weights after alignment, where there is one. Noise is that without a band,
    which is as accurate as decoded test networks.
    """
    frame = frame[(frame["kind"] != "noise") | (frame["band"] == "")]
    return frame.assign(
        place=frame.groupby(["kind", "architecture", "seed"]).cumcount(),
        distance=frame["aligned_distance"].fillna(frame["weight_distance"]),
    )


def drawn(frame: pd.DataFrame) -> str:
    """Networks drawn for the best third, held against held-out networks and noise."""
    best = frame[frame["band"] == "high"]
    parts = {kind: best[best["kind"] == kind] for kind in ("mixture", "held_out", "noise")}
    if any(part.empty for part in parts.values()):
        return ""
    texts = []
    for what, measure, column, sign, form in (
        ("weights", "distance", "weight_distance", -1, number),
        ("answers", "errors in common", "error_overlap", 1, percent),
    ):
        made, held_out, noise = (sign * part[column] for part in parts.values())
        told = "copies" if made.mean() >= noise.mean() else "neither new nor copies"
        if not _above(made, held_out):
            told = "new"
        means = [form(abs(values.mean())) for values in (made, held_out, noise)]
        texts.append(f"in {what} {told} ({measure} {', '.join(means[:2])} and {means[2]})")
    return (
        f"Drawn networks of the best third are {'; '.join(texts)}, for drawn, held-out and noisy "
        "training networks, to the nearest training network"
    )


def _above(values: pd.Series, others: pd.Series) -> bool:
    """Whether a mean is above another and the 95 % interval of the difference excludes zero."""
    error = np.sqrt(values.var() / len(values) + others.var() / len(others))
    return bool(values.mean() - others.mean() > 1.96 * error)


def verdicts(frame: pd.DataFrame, drawn: Sequence[str]) -> list[Verdict]:
    """The rows of the table of questions: on decoded networks, and on drawn ones."""
    frame, texts = _prepared(frame), []
    for what, column, sign, form in (
        ("In weights", "distance", -1, number),
        ("in answers", "error_overlap", 1, percent),
    ):
        found = judge(frame, column, sign)
        texts.append(f"{what} {WORDS[found.state].partition(':')[0]} ({found.three(form)})")
    rows = [
        Verdict(
            "note",
            "Are decoded networks new, or copies of training networks?",
            f"{'; '.join(texts)}: distance to, errors in common with the nearest training network, "
            "for decoded, held-out and noisy networks",
            "No threshold set; said as it is",
            NAME,
        )
    ]
    if drawn:
        goal = "No threshold set; beside its controls"
        question = "Are drawn networks new, or copies of training networks?"
        rows.append(Verdict("note", question, ". ".join(drawn), goal, NAME))
    return rows

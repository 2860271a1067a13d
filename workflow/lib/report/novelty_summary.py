"""What the table on novelty says: are decoded networks new, or copies of training networks?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lib.evaluate.statistics import mean_interval
from lib.report.style import percent
from lib.report.summary import Verdict

QUESTION = "Are decoded networks new, or copies of training networks?"


@dataclass(frozen=True)
class Judgement:
    """Decoded test networks against held-out networks and noise, by one measure of nearness.

    `state` is new, between or copy, or open where there are too few; the others are means.
    """

    state: str
    decoded: float
    held_out: float
    noise: float


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


WORDS = {
    "new": "new: no nearer to a training network than held-out networks are",
    "between": "neither new nor copies: nearer to a training network than held-out networks are, "
    "but not as near as noise around one",
    "copy": "copies: as near to a training network as noise around one, or nearer",
    "open": "too few to say",
}


def sentence(frame: pd.DataFrame) -> str:
    """What the data say, in plain words."""
    frame = _prepared(frame)
    answers, weights = judge(frame, "error_overlap", 1), judge(frame, "distance", -1)
    agreement = judge(frame, "agreement", 1)
    return (
        f"In their weights, decoded test networks are {WORDS[weights.state]} (distances "
        f"{_three(weights, distance)} for decoded, held-out and noisy networks). "
        f"{_nearest(frame)} In their answers they are {WORDS[answers.state]} (errors in common "
        f"with the nearest training network {_three(answers, percent)}; agreement "
        f"{_three(agreement, percent)})."
    )


def _three(found: Judgement, form: Callable[[float], str]) -> str:
    return f"{form(found.decoded)}, {form(found.held_out)} and {form(found.noise)}"


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


def verdict(frame: pd.DataFrame) -> Verdict:
    """The row of the table of questions."""
    frame, texts = _prepared(frame), []
    for what, column, sign, form in (
        ("In weights", "distance", -1, distance),
        ("in answers", "error_overlap", 1, percent),
    ):
        found = judge(frame, column, sign)
        texts.append(f"{what} {WORDS[found.state].partition(':')[0]} ({_three(found, form)})")
    answer = (
        f"{'; '.join(texts)}: distance to, errors in common with the nearest training network, for "
        "decoded, held-out and noisy networks"
    )
    return Verdict("note", QUESTION, answer, "No threshold set; said as it is", "novelty")


def distance(value: float, digits: int = 2) -> str:
    """A distance of weights as text, in units of each layer's spread."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """With the place of each network among those of its kind, architecture and seed.

    `distance` is that of weights after alignment, where there is one.
    """
    return frame.assign(
        place=frame.groupby(["kind", "architecture", "seed"]).cumcount(),
        distance=frame["aligned_distance"].fillna(frame["weight_distance"]),
    )

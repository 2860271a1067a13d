"""What the section on novelty says from the numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lib.report.sections.novelty_judged import judge, sentence, verdicts

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8")


def kinds(held_out: float, decoded: float, noise: float) -> pd.DataFrame:
    """A table in which agreement is about so much, and distance one less that."""
    random, rows = np.random.default_rng(0), []
    for kind, level in (("held_out", held_out), ("decoded_test", decoded), ("noise", noise)):
        for name in NAMES:
            for i in range(8):
                agreement = level + random.normal(0, 0.002)
                rows.append(
                    {
                        "network": f"{name}-{i}",
                        "architecture": name,
                        "kind": kind,
                        "band": "",
                        "agreement": agreement,
                        "error_overlap": agreement,
                        "weight_distance": 1 - agreement,
                        "aligned_distance": math.nan,
                        "nearest_weights": f"{name}-9",
                        "seed": 0,
                        "place": i,
                    }
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("levels", "state", "words"),
    [
        ((0.9, 0.9, 0.99), "new", "are new: no nearer"),
        ((0.9, 0.8, 0.99), "new", "are new: no nearer"),
        ((0.9, 0.95, 0.99), "between", "are neither new nor copies"),
        ((0.9, 0.99, 0.99), "copy", "are copies: as near"),
        ((0.9, 1.0, 0.95), "copy", "are copies: as near"),
    ],
)
def test_new_or_copied_is_said_from_the_numbers(levels, state, words):
    frame = kinds(*levels)
    assert judge(frame, "agreement", 1).state == state
    assert judge(frame, "weight_distance", -1).state == state
    text = sentence(frame)
    assert text.count(words) == 2
    (told,) = verdicts(frame, ())
    assert told.answer.count(words.split(":")[0].removeprefix("are ")) == 2
    assert "one and the same training network for all of an architecture" in text


def test_too_few_networks_say_nothing():
    frame = kinds(0.9, 0.95, 0.99)
    one = frame[(frame["place"] == 0) & (frame["architecture"] == "ResNet8")]
    assert judge(one, "agreement", 1).state == "open" and "too few to say" in sentence(one)

"""What the section on retrieval says from the numbers."""

from __future__ import annotations

import pandas as pd
import pytest

from lib.experiments.columns import CLASSIFIERS
from lib.report.sections.retrieval import SEVERAL, _per_query, _sentence

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8")


def rows(method: str, precision: float) -> list[dict]:
    """Rows of networks whose neighbours are like them by so much, and by chance by a third."""
    values = {
        name: 1 / 3 if "chance" in name else precision
        for name in CLASSIFIERS["retrieval"]
        if "precision" in name or "chance" in name or "agreement" in name
    }
    named = {"method": method, "embedder": "none", "seed": 0, "neighbours": 2}
    return [
        {"network": f"{name}-{i}", "architecture": name} | named | values
        for name in NAMES
        for i in range(2)
    ]


@pytest.mark.parametrize(
    ("precision", "words"), [(1.0, "better than chance"), (0.0, "worse than chance")]
)
def test_the_page_says_what_is_better_than_chance(precision, words):
    frame = pd.DataFrame([*rows("latent", precision), *rows("weights", 0.5), *rows("outputs", 0.5)])
    text = _sentence(_per_query(frame, SEVERAL), SEVERAL)
    assert f"latents {words}, 33.3" in text

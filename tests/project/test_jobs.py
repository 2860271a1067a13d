"""Every rule says what its jobs ask of a cluster; whose jobs run on the device, asks for a GPU."""

import re
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "rules"
LISTED = [
    (path.name, match[1], match[0])
    for path in sorted(RULES.glob("*.smk"))
    for match in re.finditer(r"(?m)^rule (\w+):\n(?:(?:    .*)?\n)+", path.read_text())
]


def test_rules_are_found():
    assert {"train_shard", "train_embedder", "digests"} <= {name for _, name, _ in LISTED}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for _, name, text in LISTED])
def test_a_rule_is_local_or_says_what_its_jobs_ask_for(text):
    asks = re.search(r"(?m)^    resources:\n        \*\*(ON_CPU|ON_DEVICE|TRAINING),", text)
    assert bool(asks) != ("    localrule: True\n" in text)
    if asks:
        on_device = "STUDY.device" in text or "run=RUN" in text and "mesh.yaml" not in text
        assert on_device == (asks[1] != "ON_CPU")

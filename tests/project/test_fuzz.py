"""Thousands of damaged inputs: every reader raises its own error or returns what was stored."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LEAST = {"store": 1300, "exchange": 650, "data": 900}


@pytest.mark.parametrize("group", LEAST)
def test_damaged_input_is_refused_or_does_no_harm(tmp_path, group):
    done = subprocess.run(
        [sys.executable, str(TESTS / "fuzz.py"), group, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(TESTS.parent / "workflow"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",  # libraries print what they read
    )
    last = tmp_path / "last"
    where = last.read_text() if last.exists() else "before the first input"
    assert done.returncode == 0, f"{done.returncode} at {where}\n{done.stderr[-3000:]}"
    counted = json.loads(done.stdout.splitlines()[-1])
    assert sum(counted["inputs"].values()) >= LEAST[group]
    # Were next to nothing refused, the damage would not reach the readers.
    assert sum(counted["refused"].values()) > sum(counted["inputs"].values()) / 3

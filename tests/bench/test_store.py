"""The benchmark of the store: every measurement says what, on what, and against which baseline."""

from __future__ import annotations

import json
import math

from lib.bench import store


def test_it_measures_and_writes_what_it_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(store, "ROUNDS", 1)
    measure = store.measure
    monkeypatch.setattr(store, "measure", lambda folder, *_: measure(folder, 40, 200))
    scratch, out = tmp_path / "scratch", tmp_path / "bench" / "store.json"
    scratch.mkdir()
    assert store.main(["--scratch", str(scratch), "--out", str(out)]) == 0
    assert list(scratch.iterdir()) == []
    found, printed = json.loads(out.read_text()), capsys.readouterr().out.splitlines()
    assert len(printed) == len(found) + 1
    for one, line in zip(found, printed[1:], strict=True):
        assert line.startswith(one["measured"]) and one["baseline"] in line
        assert one["value"] > 0 and one["baseline_value"] > 0
        assert one["unit"] in ("s", "GB/s", "rows/s")
        ratio = one["value"] / one["baseline_value"]
        assert math.isclose(one["ratio"], 1 / ratio if one["unit"] == "s" else ratio)
    assert {one["cache"] for one in found} == {"warm", "cold"}
    streams = [one for one in found if "stream" in one["measured"]]
    assert all("40 networks of 5,000 parameters in 1 shards" in one["subject"] for one in streams)


def test_synthetic_instances_depend_on_their_number_alone():
    whole, part = store.instances(0, 300), store.instances(200, 100)
    assert whole["network"].tolist()[200:] == part["network"].tolist()
    assert whole["status"].tolist()[200:] == part["status"].tolist()
    assert (whole["status"] == "diverged").sum() == 3

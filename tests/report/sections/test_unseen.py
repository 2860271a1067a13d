"""What is said of architectures that an embedder never saw."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.report.sections import unseen
from lib.report.sections.unseen import measure, sentences, verdicts
from report_fixture import Results, write_several


@pytest.fixture
def results(tmp_path) -> Results:
    return write_several(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


def test_what_the_page_says_follows_from_the_table(results):
    frame = pd.read_csv(results.files["unseen"])
    found = {(one.architecture, one.method): one for one in measure(frame)}
    made = found["VanillaCNN", "generated"]
    wanted = frame[(frame["architecture"] == "VanillaCNN") & (frame["method"] == "generated")]
    assert made.accuracy == pytest.approx(wanted["accuracy"].mean())
    assert made.right == 1 and len(made.rows) == 9
    assert made.bounds[0] < made.accuracy < made.bounds[1]
    assert [verdict.state for verdict in verdicts(measure(frame))] == ["reached", "reached"]
    text = " ".join(sentences(measure(frame)))
    assert "100.0\u00a0% of 9 pairs" in text and "differ less" in text
    wrong = frame["method"].eq("generated") & frame["architecture"].eq("ResNet8")
    frame.loc[wrong, "predicted_architecture"] = "ResNet14"
    frame.loc[wrong, "accuracy"] -= 0.05
    assert [verdict.state for verdict in verdicts(measure(frame))] == ["short", "short"]


def test_seeds_are_averaged_before_networks_are_counted(results):
    frame = pd.read_csv(results.files["unseen"])
    twice = pd.concat([frame, frame.assign(seed=1, accuracy=frame["accuracy"] - 0.02)])
    one, two = measure(frame)[0], measure(twice)[0]
    assert len(one.rows) == len(two.rows)
    assert two.accuracy == pytest.approx(one.accuracy - 0.01)
    assert np.subtract(*two.bounds) == pytest.approx(np.subtract(*one.bounds), rel=0.2)


def test_both_tables_are_markdown_too(results):
    frames = [pd.read_csv(results.files[name]) for name in ("unseen", "unseen_finetune")]
    for table in unseen.tables(*frames):
        lines = [line.strip("| ").split(" | ") for line in table.markdown.splitlines()]
        assert lines[0] == list(table.columns) and set(lines[1]) == {"---"}
        assert {len(line) for line in lines} == {len(table.columns)}
        assert len(lines) == 2 + len(table.rows)


def test_a_space_that_leaves_nothing_out_has_no_such_section(results):
    page = results.page()
    assert 'id="unseen"' in page and "Architectures it never saw" in page
    asked = [name for name in results.experiments if not name.startswith("unseen")]
    page = replace(results, experiments=tuple(asked)).page()
    assert 'id="unseen"' not in page and "#unseen" not in page

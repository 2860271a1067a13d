"""The trained networks, counted."""

import pandas as pd
import pytest

from lib.report.sections import zoo
from report_fixture import Results, write_several


@pytest.fixture
def results(tmp_path) -> Results:
    return write_several(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


def test_the_zoo_table_counts_status_and_epoch(results):
    def statuses():
        table = zoo.table(results.load())
        column = table.columns.index("Status")
        assert (table.rows[3][1].text, table.rows[3][1].small) == ("43,946", "343 : 1")
        return [(row[2].text, row[column].text, row[column].small) for row in table.rows]

    def diverge(frame):
        frame["diverged_epoch"] = -1
        for architecture, epochs in (("ResNet14", [3, 0, 3]), ("VanillaCNN", range(6))):
            rows = frame.index[frame["architecture"] == architecture][1 : 1 + len(epochs)]
            frame.loc[rows, "status"] = "diverged"
            frame.loc[rows, "diverged_epoch"] = list(epochs)
        row = frame.index[frame["architecture"] == "LeNetLike"][0]
        frame.loc[row, "status"] = "diverged"
        return frame

    def checkpoints(frame):
        frame["checkpoint_epoch"] = -1
        return pd.concat([frame, frame.assign(checkpoint_epoch=5)])

    assert statuses()[3] == ("9", "8 ok, 1 diverged", "")
    results.edit("catalogue", diverge)
    expected = [
        ("9", "8 ok, 1 diverged", "1 not known"),
        ("9", "3 ok, 6 diverged", "after 0 to 5"),
        ("9", "9 ok, 0 diverged", ""),
        ("9", "6 ok, 3 diverged", "1 after 0, 2 after 3"),
    ]
    assert statuses() == expected
    results.edit("catalogue", checkpoints)
    assert statuses() == expected
    assert "1 after 0, 2 after 3" in results.page()


def test_a_zoo_of_which_all_have_diverged_has_a_table(results):
    results.edit("catalogue", lambda f: f.assign(status="diverged", diverged_epoch=2))
    assert "0 ok, 9 diverged" in results.page()


def test_architectures_that_the_space_does_not_hold_are_not_counted(results):
    def more(frame):
        return pd.concat([frame, frame.iloc[:1].assign(architecture="Other", network="Other-0")])

    results.edit("catalogue", more)
    assert set(results.load()["catalogue"]["architecture"]) == set(results.architectures)

"""What lies between two networks."""

import numpy as np
import pytest

from lib.experiments.measures import barriers
from lib.report.sections import extremes, interpolation
from lib.report.sections.extremes import at_inner_points, followed
from report_fixture import ARCHITECTURES, Results, write_several
from single_fixture import write_alone


@pytest.fixture
def results(tmp_path) -> Results:
    return write_several(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


def test_goals_at_the_inner_points(results):
    page = results.load()
    inner = at_inner_points(page["interpolation"], ARCHITECTURES)
    latent = inner[inner["method"] == "latent"]
    assert len(latent) == 2 * 9  # every pair once per point, though two are followed throughout
    assert set(latent["expected"]) == {"VanillaCNN", "ResNet8"}
    assert followed(page["interpolation"], ARCHITECTURES)["pair"].nunique() == 2
    found = interpolation.section(page).verdicts
    assert [verdict.state for verdict in found] == ["reached"] * 2

    def spoil(frame):
        third = np.isclose(frame["gamma"], 1 / 3) & (frame["pair"] == frame["pair"].iloc[-1])
        frame.loc[third, "predicted_architecture"] = "LeNetLike"
        frame.loc[np.isclose(frame["gamma"], 2 / 3), "accuracy"] -= 0.03
        return frame

    results.edit("interpolation", spoil)
    page = results.load()
    found = extremes.verdicts(page, page["interpolation"])
    assert [verdict.state for verdict in found] == ["short", "short"]
    assert "VanillaCNN at 1/3 for 88.9" in found[0].answer


def test_a_walk_without_a_barrier_is_told_from_one_with_it(tmp_path):
    page = write_alone(tmp_path / "results").load()
    frame = page["interpolation"]
    lost = barriers(frame[frame["ends"] == "good"]).groupby("method")["barrier"].mean()
    assert lost["latent"] == pytest.approx(0.009) and lost["weights"] == pytest.approx(0.72)
    section = interpolation.section(page)
    assert "latent −0.9, weights −72.0" in section.verdicts[0].answer
    assert "resetting statistics to 18.0 points: networks this narrow" in section.shortcomings[0]

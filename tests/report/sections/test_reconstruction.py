"""What comes back, and the goals held against it."""

import pandas as pd
import pytest

from lib.experiments.measures import summary
from lib.report.networks import main_embedder, per_network, trained_accuracy
from lib.report.sections import reconstruction, shortcomings
from lib.report.sections.reconstruction import table
from report_fixture import ARCHITECTURES, Results, write_several
from single_fixture import KEPT, write_alone


@pytest.fixture
def results(tmp_path) -> Results:
    return write_several(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


@pytest.fixture
def alone(tmp_path) -> Results:
    return write_alone(tmp_path / "results")


def judged(results: Results):
    return reconstruction.section(results.load()).verdicts


def test_good_networks_reach_all_goals(results):
    found = judged(results)
    assert [verdict.state for verdict in found] == ["reached"] * 4
    assert found[0].answer == "12 of 12 do"


def test_wrong_architecture_is_a_failure_and_is_counted(results):
    def wrong(frame):
        row = frame[frame["method"] == "decoded"].index[0]
        frame.loc[row, "predicted_architecture"] = "ResNet8"
        return frame

    results.edit("reconstruction", wrong)
    verdict = judged(results)[0]
    assert (verdict.state, verdict.answer) == ("short", "11 of 12 do")
    found = table(results.load().networks, ARCHITECTURES)
    wrong_cells = [row[1].text for row, name in zip(found.rows, found.strong, strict=True) if name]
    assert wrong_cells == ["1 of 12", "1 of 3", "0 of 3", "0 of 3", "0 of 3"]


def test_accuracy_lost_in_one_architecture_falls_short(results):
    def lose(frame):
        rows = (frame["method"] == "decoded") & (frame["architecture"] == "ResNet14")
        frame.loc[rows, "accuracy"] = frame.loc[rows, "target_accuracy"] - 0.011
        return frame

    results.edit("reconstruction", lose)
    found = judged(results)
    assert found[1].state == "short" and "ResNet14 −1.1" in found[1].answer


def test_a_decoder_that_forgets_its_input_falls_short(results):
    def forget(frame):
        constant = frame[frame["method"] == "constant"].reset_index(drop=True)
        columns = ["agreement", "agreement_other", "accuracy"]
        frame.loc[frame["method"] == "decoded", columns] = constant[columns].to_numpy()
        return frame

    results.edit("reconstruction", forget)
    assert [v.state for v in judged(results)] == ["reached", "reached", "short", "short"]
    said = shortcomings.section([reconstruction.section(results.load())])
    assert sum("Short of its goal" in text for text in said.blocks[0].items) == 2


def test_seeds_are_averaged_per_network_and_embedders_kept_apart(results):
    frame = pd.read_csv(results.files["reconstruction"])
    second = frame.assign(seed=1, accuracy=frame["accuracy"] - 0.02)
    other = frame[frame["method"] == "decoded"].assign(embedder="paper", accuracy=0.5)
    networks = per_network(pd.concat([frame, second, other]))
    decoded = networks[networks["method"] == "decoded"]
    before = per_network(frame)
    before = before[before["method"] == "decoded"]
    assert decoded["accuracy"].to_numpy() == pytest.approx(before["accuracy"].to_numpy() - 0.01)
    assert (decoded["runs"] == 2).all()
    assert set(networks.loc[networks["method"] == "decoded (paper)", "accuracy"]) == {0.5}


def test_trained_accuracy_counts_each_network_once(results):
    frame = pd.read_csv(results.files["reconstruction"])
    expected = frame.drop_duplicates("network").groupby("architecture")["target_accuracy"].mean()
    assert trained_accuracy(per_network(frame)) == pytest.approx(expected.to_dict())


# --- one architecture


def test_the_headline_says_error_agreement_and_compression(alone):
    text = reconstruction.section(alone.load()).headline
    assert "153.1 times fewer" in text and "2.0 points off on average" in text
    assert "20 networks that the space has never seen" in text and "from 128 numbers" in text
    assert "Looking up the most similar training network gives 8.0 points" in text


def test_goals_of_one_architecture_reached_and_short(alone):
    assert [verdict.state for verdict in judged(alone)] == ["reached"] * 4

    def worse(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["method"] == "decoded", "agreement"] = 0.7
        frame.loc[frame["method"] == "refined", "accuracy"] += 0.05
        return frame

    alone.edit("reconstruction", worse)
    assert [v.state for v in judged(alone)] == ["reached", "short", "short", "short"]
    told = shortcomings.section([reconstruction.section(alone.load())]).blocks[0].items
    assert sum("Short of its goal" in text for text in told) == 3
    assert any("Agreement is lowest in fifth" in text for text in told)


def test_look_up_that_is_as_good_is_not_beaten(alone):
    def equal(frame: pd.DataFrame) -> pd.DataFrame:
        own = frame[frame["method"] == "decoded"].set_index("network")
        rows = frame["method"] == "nearest_agreement"
        for column in ("accuracy", "agreement"):
            frame.loc[rows, column] = frame.loc[rows, "network"].map(own[column])
        return frame

    alone.edit("reconstruction", equal)
    states = {verdict.question: verdict.state for verdict in judged(alone)}
    assert states["Is it better than looking up the most similar training network?"] == "short"


def test_the_summary_by_method_is_that_of_the_table(alone):
    whole = summary(main_embedder(alone.load()["reconstruction"])).set_index("method")
    for method, (error, agreement) in KEPT.items():
        if method != "constant":
            assert whole.loc[method, "error"] == pytest.approx(error)
        assert whole.loc[method, "agreement"] == pytest.approx(agreement, abs=0.005)

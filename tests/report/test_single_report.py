"""The report on one architecture says what its tables say."""

import json

import pandas as pd
import pytest

from lib.evaluate.performance import barriers
from lib.report.figures.performance import BLOCKS, LONGEST, sparkline
from lib.report.inputs import ReportError
from lib.report.page import index_page, without_run
from lib.report.single_inputs import TABLES, SinglearchData
from lib.report.single_notes import NOTES, shortcomings, winner
from lib.report.single_summary import verdicts, whole
from lib.report.singlearch import singlearch_report
from report_fixture import RUN
from single_fixture import KEPT, NAME, write_singlearch


@pytest.fixture
def files(tmp_path):
    return write_singlearch(tmp_path / "results")


def page(files, run=RUN) -> str:
    return singlearch_report(files, NAME, run, files.latent_map.parents[1], "About.")


def edit(path, change) -> None:
    change(pd.read_csv(path)).to_csv(path, index=False)


def judged(files) -> dict[str, str]:
    return {verdict.question: verdict.state for verdict in verdicts(SinglearchData.load(files))}


def test_the_headline_says_error_agreement_and_compression(files):
    html = page(files)
    assert "153.1 times fewer" in html and "2.0 points off on average" in html
    assert "20 networks that the space has never seen" in html and "from 128 numbers" in html
    assert "Looking up the most similar training network gives 8.0 points" in html


def test_equal_tables_give_equal_pages_but_for_the_run(files):
    assert page(files) == page(files)
    assert without_run(page(files)) == without_run(page(files, {"machine": "another"}))
    assert page(files) != page(files, {"machine": "another"})


def test_every_table_is_linked_and_nothing_is_fetched(files):
    html = page(files)
    for name in TABLES:
        assert f'href="singlearch/{"weights/" * (name == "catalogue")}{name}.csv"' in html
    body = html.replace(html[html.index("<script>") : html.index("</head>")], "")
    assert "http://" not in body and "https://" not in body


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_column_is_named(files, name):
    column = "seed" if name != "catalogue" else "epochs"
    edit(getattr(files, name), lambda frame: frame.drop(columns=column))
    with pytest.raises(ReportError, match=rf"{name}.csv: lacks column {column}"):
        page(files)


def test_goals_reached_and_short(files):
    found = judged(files)
    goals = [state for state in found.values() if state != "note"]
    assert goals == ["reached"] * 4 and len(found) == 4 + len(NOTES)

    def worse(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["method"] == "decoded", "agreement"] = 0.7
        frame.loc[frame["method"] == "refined", "accuracy"] += 0.05
        return frame

    edit(files.reconstruction, worse)
    goals = [state for state in judged(files).values() if state != "note"]
    assert goals == ["reached", "short", "short", "short"]
    data = SinglearchData.load(files)
    told = list(shortcomings(data, whole(data.reconstruction), verdicts(data)))
    assert sum("Short of its goal" in text for text in told) == 3
    assert any("resetting statistics" in text for text in told)


def test_look_up_that_is_as_good_is_not_beaten(files):
    def equal(frame: pd.DataFrame) -> pd.DataFrame:
        own = frame[frame["method"] == "decoded"].set_index("network")
        rows = frame["method"] == "nearest_agreement"
        for column in ("accuracy", "agreement"):
            frame.loc[rows, column] = frame.loc[rows, "network"].map(own[column])
        return frame

    edit(files.reconstruction, equal)
    state = judged(files)["Is it better than looking up the most similar training network?"]
    assert state == "short"


def test_who_predicts_best_is_said_plainly(files):
    frame = SinglearchData.load(files).property_prediction
    assert winner(frame, "test_accuracy") == (
        "latent",
        "latent (ridge) wins, R² 0.97 against 0.90 of what the encoder sees (ridge)",
    )
    assert winner(frame, "epochs")[0] == "statistics"
    frame.loc[frame["features"] == "observed", "r2"] = 0.95
    assert "is ahead, within the interval" in winner(frame, "test_accuracy")[1]


def test_the_summary_by_method_is_that_of_the_table(files):
    data = SinglearchData.load(files)
    table = whole(data.reconstruction)
    for method, (error, agreement) in KEPT.items():
        if method != "constant":
            assert table.loc[method, "error"] == pytest.approx(error)
        assert table.loc[method, "agreement"] == pytest.approx(agreement, abs=0.005)


def test_a_walk_without_a_barrier_is_told_from_one_with_it(files):
    frame = SinglearchData.load(files).interpolation
    lost = barriers(frame[frame["ends"] == "good"]).groupby("method")["barrier"].mean()
    assert lost["latent"] == pytest.approx(0.009) and lost["weights"] == pytest.approx(0.72)


def test_curves_become_lines_of_signs():
    assert sparkline(json.dumps([0.0, 0.5, 1.0, None])) == BLOCKS[0] + BLOCKS[4] + BLOCKS[-1]
    assert sparkline(float("nan")) == "" and sparkline("[]") == ""
    assert 20 < len(sparkline(json.dumps([0.5] * 301))) <= LONGEST


def test_a_map_without_curves_is_drawn_all_the_same(files):
    edit(files.latent_map, lambda frame: frame.drop(columns="train_curve"))
    assert "fig-single-map" in page(files)


def test_the_index_opens_onto_it(files):
    report = files.latent_map.parents[1] / "singlearch_report.html"
    report.write_text(page(files), encoding="utf-8")
    html = index_page([report], report.parent)
    assert "4 of 4 goals reached" in html and "One latent space for good and poor ResNet8s" in html

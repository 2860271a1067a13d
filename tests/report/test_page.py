"""Pages are whole files, equal for equal tables, and the index opens onto them."""

import json

import pandas as pd
import pytest

from lib.report.inputs import ReportError
from lib.report.page import index_page, without_run
from report_fixture import RUN, Results, write_several
from single_fixture import write_alone


@pytest.fixture
def results(tmp_path) -> Results:
    return write_several(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


@pytest.fixture
def alone(tmp_path) -> Results:
    return write_alone(tmp_path / "results")


def test_page_is_self_contained_small_and_names_its_data(results, alone):
    for written in (results, alone):
        html = written.page()
        assert len(html.encode()) < 7_000_000
        assert html.count("<script src") == html.count('rel="stylesheet"') == 0
        body = html.replace(html[html.index("<script>") : html.index("</head>")], "")
        assert "http://" not in body and "https://" not in body
        for name in (*written.experiments, "catalogue", "latent_map"):
            link = written.files[name].relative_to(written.root).as_posix()
            assert f'href="{link}"' in html
        tabs = [f'href="#{name}"' in html for name in written.experiments]
        assert sum(not tab for tab in tabs) == ("unseen_finetune" in written.experiments)
    assert 'href="multiarch/preps.h5"' in results.page()


def test_equal_tables_give_equal_pages_outside_the_run_block(results, alone, tmp_path):
    again = write_several(tmp_path / "again", instances=(4, 2, 3), pairs=2, points=13)
    first = results.page()
    second = again.page(RUN | {"times": [{"step": "x", "seconds": 1}], "machine": "other"})
    assert first != second
    assert without_run(first) == without_run(second)
    assert first.count("<!--run-->") == first.count("<!--/run-->") == 1
    assert alone.page() == alone.page() != alone.page({"machine": "another"})
    assert without_run(alone.page()) == without_run(alone.page({"machine": "another"}))


def test_run_block_holds_config_versions_digests_times(results):
    html = results.page()
    block = html.split("<!--run-->")[1].split("<!--/run-->")[0]
    for text in ("shard_size: 12", "2.13.0", "ab" * 32, "61.2", "8 GiB"):
        assert text in block
        assert text not in without_run(html).replace(block, "")


def test_text_from_outside_is_escaped(results):
    assert "<script>alert(1)</script>" not in results.page(about="<script>alert(1)</script>")
    results.edit("reconstruction", lambda f: f.assign(network=f["network"] + "</script><b>"))
    figures = results.page().split("data-figure")[1:]
    assert all("</script><b>" not in figure for figure in figures)


def test_smallest_study_has_a_page(tmp_path):
    results = write_several(tmp_path / "r", instances=(1, 1, 1), pairs=0, points=2)
    assert "all networks" in results.page(run={"config": {}})


def test_summary_in_the_page_is_json(results):
    body = results.page().split('id="summary">')[1].split("</script>")[0]
    assert json.loads(body)["goals"] == 8 and json.loads(body)["name"] == "multiarch"


def test_index_opens_onto_reports(results, alone):
    pages = []
    for written in (results, alone):
        pages.append(written.root / f"{written.space}_report.html")
        pages[-1].write_text(written.page(), encoding="utf-8")
    html = index_page(pages, results.root)
    assert 'href="multiarch_report.html"' in html and "8 of 8 goals reached" in html
    assert "One latent space for four architectures" in html
    assert "4 of 4 goals reached" in html and "One latent space for good and poor ResNet8s" in html


def test_index_refuses_what_is_no_report(tmp_path):
    with pytest.raises(ReportError, match="no such report"):
        index_page([tmp_path / "gone.html"], tmp_path)
    (tmp_path / "other.html").write_text("<html></html>")
    with pytest.raises(ReportError, match="holds no summary"):
        index_page([tmp_path / "other.html"], tmp_path)


def test_every_experiment_of_one_architecture_can_be_asked_of_several(results, alone):
    """Figures and tables of properties, samples, moves and walks choose the architecture."""
    names = results.architectures[:2]
    for name in ("property_prediction", "sampling", "arithmetic", "novelty", "interpolation"):
        table = pd.read_csv(alone.files[name])
        parts = [table.assign(architecture=each) for each in names]
        if name == "interpolation":  # a pair is of one architecture
            parts = [part.assign(pair=part["architecture"] + part["pair"]) for part in parts]
        if name in results.experiments:
            parts.append(pd.read_csv(results.files[name]))
            results.edit(name, lambda _, parts=parts: pd.concat(parts))
        else:
            results.files[name] = results.root / f"multiarch/{name}.csv"
            pd.concat(parts).to_csv(results.files[name], index=False)
    asked = [*results.experiments, "property_prediction", "sampling", "arithmetic"]
    html = Results(**vars(results) | {"experiments": tuple(asked)}).page()
    for control in ("walks", "properties", "sampling", "arithmetic", "novelty"):
        assert f'id="control-{control}"' in html
    for text in ("LeNetLike: As drawn", "best third, VanillaCNN", "LeNetLike: two good networks"):
        assert text in html

"""The reports in a real Chromium: drawn, silent, offline, and readable on a phone.

Without Chromium these are skipped; in CI that counts as a failure (see conftest.py).
"""

from pathlib import Path

import pytest

from lib.report.multiarch import multiarch_report
from lib.report.page import index_page
from lib.report.singlearch import singlearch_report
from pages import DRAWN, overflow
from report_fixture import ARCHITECTURES, RUN, write_study
from single_fixture import NAME, write_singlearch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("study") / "results"
    files = write_study(root)
    report = root / "multiarch_report.html"
    report.write_text(multiarch_report(files, ARCHITECTURES, RUN, root), encoding="utf-8")
    single = singlearch_report(write_singlearch(root), NAME, RUN, root)
    (root / "singlearch_report.html").write_text(single, encoding="utf-8")
    (root / "report.html").write_text(index_page([report], root), encoding="utf-8")
    return root


def shown_traces(page, figure: str) -> list[int]:
    return page.evaluate(
        """id => document.getElementById(id)._fullData.flatMap(
            (trace, number) => trace.visible === true ? [number] : [])""",
        figure,
    )


@pytest.mark.parametrize("width", [1240, 390])
@pytest.mark.parametrize(
    ("name", "count", "drawn"),
    [("multiarch_report.html", 20, 3 * len(ARCHITECTURES)), ("singlearch_report.html", 17, 0)],
)
def test_everything_is_drawn_and_nothing_overflows(visit, name, count, drawn, width):
    page = visit(name, width)
    plots = page.query_selector_all(".plot")
    assert len(plots) == count
    for plot in plots:
        assert plot.query_selector("svg.main-svg, canvas"), plot.get_attribute("id")
        marks = plot.query_selector_all("path.point, path.js-line, path.js-fill")
        assert marks, plot.get_attribute("id")
        assert plot.bounding_box()["width"] <= width
    pictures = "[...document.images].map(i => i.complete && i.naturalWidth > 0)"
    assert page.evaluate(pictures) == [True] * drawn
    for summary in page.query_selector_all("summary"):
        summary.click()
    assert overflow(page) == 0


def test_wide_tables_scroll_in_their_own_box_on_a_phone(visit):
    page = visit("multiarch_report.html", 390)
    box = page.locator(".table-box:has(#table-reconstruction)")
    assert box.evaluate("b => b.scrollWidth > b.clientWidth && b.clientWidth <= 390")


def test_map_toggles_between_architecture_and_accuracy(visit):
    page = visit("multiarch_report.html", 1240)
    count = len(ARCHITECTURES)
    buttons = page.locator("#control-latent-map button")
    assert shown_traces(page, "fig-latent-map") == list(range(count))
    buttons.nth(1).click()
    page.wait_for_selector("#fig-latent-map .colorbar")
    assert shown_traces(page, "fig-latent-map") == list(range(count, 3 * count))
    pressed = [buttons.nth(i).get_attribute("aria-pressed") for i in range(2)]
    assert pressed == ["false", "true"]
    buttons.nth(0).click()
    page.wait_for_selector("#fig-latent-map .colorbar", state="detached")
    assert shown_traces(page, "fig-latent-map") == list(range(count))


def test_lists_switch_methods_pairs_and_rows(visit):
    page = visit("multiarch_report.html", 390)
    for control, figure in (
        ("control-method", "fig-accuracy-scatter"),
        ("control-method", "fig-agreement-scatter"),
        ("control-pair", "fig-interpolation-pair"),
    ):
        page.select_option(f"#{control}", index=0)
        before = shown_traces(page, figure)
        page.select_option(f"#{control}", index=1)
        after = shown_traces(page, figure)
        assert len(before) == len(after)
        assert before != after
    rows = "[...document.querySelectorAll('#table-reconstruction tbody tr')]"
    visible = f"{rows}.filter(r => r.offsetParent !== null).map(r => r.dataset.group)"
    assert set(page.evaluate(visible)) == {"All architectures"}
    page.select_option("#table-reconstruction-filter", "ResNet8")
    assert set(page.evaluate(visible)) == {"ResNet8"}


def test_optimisation_looks_closer_at_the_top(visit):
    page = visit("multiarch_report.html", 1240)
    low = "document.getElementById('fig-optimization-ResNet8')._fullLayout.yaxis.range[0]"
    assert page.evaluate(low) == 0
    page.locator("#control-optimization button").nth(1).click()
    assert page.evaluate(low) > 0.5


def test_hover_names_the_network(visit):
    page = visit("multiarch_report.html", 1240)
    point = page.locator("#fig-latent-map path.point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#fig-latent-map .hoverlayer .hovertext")
    assert "LeNetLike-" in page.locator("#fig-latent-map .hoverlayer").text_content()


def test_hover_shows_how_a_network_was_trained(visit):
    page = visit("singlearch_report.html", 1240)
    point = page.locator("#fig-single-map path.point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#fig-single-map .hoverlayer .hovertext")
    text = page.locator("#fig-single-map .hoverlayer").text_content()
    assert f"{NAME}-" in text and "epochs" in text and "█" in text


@pytest.mark.parametrize("width", [1240, 390])
def test_index_opens_onto_the_report(visit, width):
    page = visit("report.html", width)
    assert overflow(page) == 0
    page.get_by_role("link", name="Open the report").click()
    page.wait_for_function(DRAWN)
    assert page.title() == "One latent space for four architectures"

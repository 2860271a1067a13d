"""The pages in a real Chromium: drawn, silent, offline, and readable on a phone.

Without Chromium these are skipped; in CI that counts as a failure (see conftest.py).
"""

from pathlib import Path

import pytest

from lib.report.page import index_page
from pages import DRAWN, overflow
from report_fixture import ARCHITECTURES, write_several
from single_fixture import NAME, write_alone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("study") / "results"
    report = root / "multiarch_report.html"
    report.parent.mkdir()
    report.write_text(write_several(root).page(), encoding="utf-8")
    single = write_alone(root).page()
    (root / "singlearch_report.html").write_text(single, encoding="utf-8")
    (root / "report.html").write_text(index_page([report], root), encoding="utf-8")
    return root


def shown_traces(page, figure: str) -> list[int]:
    return page.evaluate(
        """id => document.getElementById(id)._fullData.flatMap(
            (trace, number) => trace.visible === true ? [number] : [])""",
        figure,
    )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("name", "count", "drawn"),
    [("multiarch_report.html", 22, 3 * len(ARCHITECTURES)), ("singlearch_report.html", 20, 0)],
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


@pytest.mark.parametrize("name", ["multiarch_report.html", "singlearch_report.html"])
def test_all_tabs_are_in_sight_on_a_screen(visit, name):
    page = visit(name, 1280)
    tabs = page.locator("nav .wrap")
    assert tabs.evaluate("n => n.scrollWidth <= n.clientWidth")
    ends = page.locator("nav a").evaluate_all(
        "all => all.map(a => a.getBoundingClientRect().right)"
    )
    assert max(ends) <= 1280


def test_the_buttons_of_a_figure_show_on_hover_and_cover_nothing(visit):
    page = visit("multiarch_report.html", 1280)
    bar = "document.querySelector('#fig-answer-accuracy .modebar')"
    assert page.evaluate(f"getComputedStyle({bar}).opacity") == "0"
    page.locator("#fig-answer-accuracy").hover()
    page.wait_for_function(f"getComputedStyle({bar}).opacity === '1'")
    plot = page.locator("#fig-answer-accuracy").bounding_box()
    box = page.locator("#fig-answer-accuracy .modebar").bounding_box()
    assert box["y"] + box["height"] <= plot["y"] + 8


def test_wide_tables_scroll_in_their_own_box_on_a_phone(visit):
    page = visit("multiarch_report.html", 390)
    box = page.locator(".table-box:has(#table-reconstruction)")
    assert box.evaluate("b => b.scrollWidth > b.clientWidth && b.clientWidth <= 390")


def test_map_toggles_between_architecture_and_accuracy(visit):
    page = visit("multiarch_report.html", 1280)
    count = len(ARCHITECTURES)
    buttons = page.locator("#control-map button")
    assert shown_traces(page, "fig-map") == list(range(count))
    buttons.nth(1).click()
    page.wait_for_selector("#fig-map .colorbar")
    assert shown_traces(page, "fig-map") == list(range(count, 3 * count))
    assert shown_traces(page, "fig-map-answers") == list(range(count, 3 * count))
    pressed = [buttons.nth(i).get_attribute("aria-pressed") for i in range(2)]
    assert pressed == ["false", "true"]
    buttons.nth(0).click()
    page.wait_for_selector("#fig-map .colorbar", state="detached")
    assert shown_traces(page, "fig-map") == list(range(count))


def test_lists_switch_methods_pairs_and_rows(visit):
    page = visit("multiarch_report.html", 390)
    for control, figure in (
        ("control-method", "fig-reconstruction-accuracy"),
        ("control-method", "fig-reconstruction-agreement"),
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
    page = visit("multiarch_report.html", 1280)
    low = "document.getElementById('fig-optimization-ResNet8')._fullLayout.yaxis.range[0]"
    assert page.evaluate(low) == 0
    page.locator("#control-optimization button").nth(1).click()
    assert page.evaluate(low) > 0.5


def test_hover_names_the_network(visit):
    page = visit("multiarch_report.html", 1280)
    assert "LeNetLike-" in hovered(page, "#fig-map")


def test_hover_shows_how_a_network_was_trained(visit):
    page = visit("singlearch_report.html", 1280)
    text = hovered(page, "#fig-map-answers")
    assert f"{NAME}-" in text and "epochs" in text and "█" in text


def hovered(page, figure: str) -> str:
    point = page.locator(f"{figure} path.point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(f"{figure} .hoverlayer .hovertext")
    return page.locator(f"{figure} .hoverlayer").text_content()


@pytest.mark.parametrize("width", [1280, 390])
def test_index_opens_onto_the_report(visit, width):
    page = visit("report.html", width)
    assert overflow(page) == 0
    page.get_by_role("link", name="Open the report").click()
    page.wait_for_function(DRAWN)
    assert page.title() == "One latent space for four architectures"

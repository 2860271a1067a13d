"""The report on shapes in a real Chromium: its meshes are drawn, turn, and follow the controls."""

from __future__ import annotations

from pathlib import Path

import pytest

import shape_fixture
from pages import hover, overflow
from report_fixture import RUN

pytestmark = pytest.mark.slow

PIXELS = """id => [...document.querySelectorAll(`#${id} canvas`)].map(canvas => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0, covered = 0;
    for (let i = 0; i < data.length; i += 4) {
        sum = (sum * 31 + data[i] + data[i + 1] + data[i + 2]) % 1000003;
        covered += data[i + 3] > 0;
    }
    return [covered / (canvas.width * canvas.height), sum];
})"""


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("study") / "results"
    files = shape_fixture.write_shapes(root)
    html = shape_fixture.page(files, RUN)
    (root / "shapes_report.html").write_text(html, encoding="utf-8")
    return root


def drawn(page, scene: str) -> list[tuple[float, int]]:
    """Share of each canvas that is covered, and a number that stands for its pixels."""
    page.wait_for_function(
        """id => [...document.querySelectorAll(`#${id} canvas`)].every(
            canvas => canvas.dataset.shown !== undefined
            && canvas.dataset.shown === canvas.dataset.mesh)""",
        arg=scene,
    )
    return [tuple(found) for found in page.evaluate(PIXELS, scene)]


def shown(page, scene: str) -> list[str]:
    return page.evaluate(
        "id => [...document.querySelectorAll(`#${id} canvas`)].map(c => c.dataset.mesh)", scene
    )


@pytest.mark.parametrize("width", [1240, 390])
def test_everything_is_drawn_and_nothing_overflows(visit, width):
    page = visit("shapes_report.html", width)
    assert len(page.query_selector_all(".plot")) == 7
    for scene in page.query_selector_all("figure.scene"):
        name = scene.get_attribute("id")
        assert all(0.03 < covered < 0.7 for covered, _ in drawn(page, name)), name
        for canvas in scene.query_selector_all("canvas"):
            assert canvas.bounding_box()["width"] <= width
    pictures = "[...document.querySelectorAll('.strip img')].map(i => i.naturalWidth)"
    assert set(page.evaluate(pictures)) == {96}
    for summary in page.query_selector_all("summary"):
        summary.click()
    assert overflow(page) == 0


def test_dragging_turns_all_meshes_of_a_scene(visit):
    page = visit("shapes_report.html", 1240)
    before = drawn(page, "scene-reconstruction")
    box = page.locator("#scene-reconstruction canvas").nth(2)
    box.scroll_into_view_if_needed()
    place = box.bounding_box()
    page.mouse.move(place["x"] + 50, place["y"] + 50)
    page.mouse.down()
    page.mouse.move(place["x"] + 120, place["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_function("document.getElementById('scene-reconstruction').dataset.yaw > 0")
    after = drawn(page, "scene-reconstruction")
    assert len(before) == 5
    assert all(one != other for one, other in zip(before, after, strict=True))
    page.mouse.move(place["x"] + 20, place["y"] + 20)
    page.wait_for_timeout(100)
    assert drawn(page, "scene-reconstruction") == after


def test_the_keyboard_and_the_button_turn_too(visit):
    page = visit("shapes_report.html", 1240)
    yaw = "document.getElementById('scene-sampling').dataset.yaw"
    page.wait_for_function(f"{yaw} === '-0.600'")
    page.locator("#scene-sampling canvas").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{yaw} === '-0.480'")
    page.locator("#scene-sampling .turn").click()
    page.wait_for_function(f"{yaw} > -0.3")
    page.locator("#scene-sampling .turn").click()
    assert page.locator("#scene-sampling .turn").get_attribute("aria-pressed") == "false"


def test_the_list_and_the_strip_choose_the_shape(visit):
    page = visit("shapes_report.html", 390)
    first = drawn(page, "scene-reconstruction")
    page.select_option("#scene-reconstruction-control", index=1)
    assert {name.split("/")[-1] for name in shown(page, "scene-reconstruction")} == {"shape-0014"}
    assert drawn(page, "scene-reconstruction") != first
    page.locator("#scene-reconstruction .strip button").nth(3).click()
    assert {name.split("/")[-1] for name in shown(page, "scene-reconstruction")} == {"shape-0016"}
    assert page.locator("#scene-reconstruction-control").evaluate("c => c.selectedIndex") == 3


def test_the_slider_goes_from_one_shape_to_the_other(visit):
    page = visit("shapes_report.html", 1240)
    slider = page.locator("#scene-interpolation-1-control")
    for press in range(3):
        assert shown(page, "scene-interpolation-1") == [
            f"interpolation/pair1_{method}_{press:02d}" for method in ("latent", "weights")
        ]
        slider.press("ArrowRight")
    assert page.locator("#scene-interpolation-1 output").text_content() == "100 %"


def test_a_mesh_without_a_surface_says_so(visit):
    page = visit("shapes_report.html", 1240)
    page.locator("#scene-interpolation-0 .strip button").nth(1).click()
    (whole, _), (words, _) = drawn(page, "scene-interpolation-0")
    assert whole > 0.05 > words > 0
    assert page.locator("#scene-interpolation-0 .panel p").nth(1).text_content() == "no surface"


def test_hovering_on_the_map_shows_the_shape(visit):
    page = visit("shapes_report.html", 1240)
    card = page.locator("[data-hover] .hover-picture")
    assert not card.is_visible()
    hover(page, "fig-latent-map")
    card.wait_for(state="visible")
    assert card.locator("img").evaluate("i => i.naturalWidth") == 96
    page.mouse.move(5, 5)
    card.wait_for(state="hidden")

"""Curves on pages and as pictures."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lib.report import charts
from lib.report.methods import Look


def chart(logarithmic: bool = False, **values: dict) -> charts.Chart:
    curves = [charts.Curve(Look(name, ""), found) for name, found in values.items()]
    curves.append(charts.Curve(Look("all & <none>", ""), {0: 0.05}, level=True))
    return charts.Chart("c", "A title", "In words", "x", "y", curves, "", "source", logarithmic)


@pytest.mark.parametrize(
    ("logarithmic", "marks"),
    [(True, [0.02, 0.05, 0.1, 0.2]), (False, [0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14])],
)
def test_axes_end_at_round_shares_around_all_curves(logarithmic, marks):
    found = chart(logarithmic, one={1: 0.13, 10: 0.035})
    assert found.marks == pytest.approx(marks) and found.ticks == [1, 10]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_picture_is_xml_with_every_point_inside(logarithmic):
    found = chart(logarithmic, one={1: 0.13, 10: 0.04}, two={10: 0.2, 4: float("nan")})
    root = ElementTree.fromstring(charts.svg(found))
    width, height = (float(root.get(name)) for name in ("width", "height"))
    lines = [e for e in root if e.tag.endswith("polyline")]
    places = [tuple(map(float, p.split(","))) for e in lines for p in e.get("points").split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    words = [e.text for e in root if e.tag.endswith("text")]
    assert {"A title", "one", "two", "all & <none>"} <= set(words)


def test_a_higher_share_stands_higher_in_a_picture():
    root = ElementTree.fromstring(charts.svg(chart(one={1: 0.04, 10: 0.13})))
    line = next(
        e for e in root if len((e.get("points") or "").split()) == 2 and "5f6b7a" in e.get("stroke")
    )
    (x0, y0), (x1, y1) = (map(float, p.split(",")) for p in line.get("points").split())
    assert x0 < x1 and y0 > y1

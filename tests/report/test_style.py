"""Numbers as text."""

import math

from lib.report.style import interval, percent, plain, points, points_of


def test_numbers_as_text():
    assert percent(0.9642) == "96.4\u00a0%"
    assert percent(math.nan) == points(math.nan) == "–"
    assert [points(x) for x in (0.012, -0.012, -0.0001)] == ["+1.2", "−1.2", "0.0"]
    assert interval(0.1, 0.2) == "10.0 to 20.0"
    assert interval(math.nan, 0.2) == ""
    assert points_of(0.031) == "3.1 points"
    assert [plain(x, 2) for x in (-0.001, -0.5)] == ["0.00", "−0.50"]

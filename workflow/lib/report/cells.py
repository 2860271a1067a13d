"""Cells of tables: means with their 95 % intervals below."""

from __future__ import annotations

import math

import pandas as pd

from lib.evaluate.statistics import mean_interval
from lib.report import style
from lib.report.blocks import Cell


def share(values: pd.Series) -> Cell:
    """Mean of shares in [0, 1], in percent."""
    mean, low, high = mean_interval(values)
    return Cell(style.percent(mean), style.interval(max(low, 0.0), min(high, 1.0)))


def points(values: pd.Series) -> Cell:
    """Mean difference of shares, in signed points."""
    mean, low, high = mean_interval(values)
    return Cell(style.points(mean), style.interval(low, high, style.points))


def number(value: float, digits: int = 2) -> str:
    """A number as text; a dash where there is none."""
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"

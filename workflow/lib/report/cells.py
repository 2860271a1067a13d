"""Cells of tables: means with their 95 % intervals below."""

from __future__ import annotations

import math

import pandas as pd

from lib.experiments.statistics import mean_interval
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


def distance(values: pd.Series) -> Cell:
    """Mean of distances of weights, in units of each layer's spread."""
    mean, low, high = mean_interval(values)
    return Cell(number(mean), style.interval(low, high, number, 2))


def number(value: float, digits: int = 2) -> str:
    """A number as text; a dash where there is none."""
    return style.plain(value, digits) if math.isfinite(value) else "–"

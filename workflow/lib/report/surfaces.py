"""Words and numbers for surfaces of shapes."""

from __future__ import annotations

import math

from lib.report import methods


def label(method: str) -> str:
    """A method's name in plain words."""
    return methods.label(method, "fields")


def length(value: float, digits: int = 4) -> str:
    """A distance in the unit of the shapes, which are 1.8 long."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def length_interval(low: float, high: float) -> str:
    """A confidence interval of a distance; empty where there is none."""
    return f"{length(low)} to {length(high)}" if math.isfinite(low + high) else ""


def pieces(count: int) -> str:
    """How many parts a surface is made of."""
    return {0: "no surface", 1: "one piece"}.get(int(count), f"{int(count)} pieces")

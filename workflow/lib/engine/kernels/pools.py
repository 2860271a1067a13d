"""Pools on [channels, positions, batch]: mean and maximum, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llvmlite import ir

from lib.engine.kernels.conv import grouped
from lib.engine.kernels.emit import LANES, Emitter, constant
from lib.engine.kernels.layers import each

Groups = Sequence[Sequence[int]]  # for each position of a pool, those it is made of


def mean(
    e,
    x,
    y,
    vectors,
    *,
    groups: Groups,
    factor: float,
    channels: int,
    sources: int,
    row: int,
    add: bool,
) -> None:
    """y[c, p] (+)= factor times the sum of x[c, q] over the group of p: a pool, or its gradient."""
    table = _members(e, groups, row)
    with e.loop(channels) as c, e.loop(len(groups)) as p, e.loop(vectors) as v:
        here = e.times(v, LANES)
        sum_ = e.variable(constant(0.0))
        with e.pairs(table, p) as (source, _):
            value = e.load(x, e.times(c, sources * row), source, here)
            sum_.value = e.b.fadd(sum_.value, value)
        at = e.sum(e.times(c, len(groups) * row), e.times(p, row), here)
        value = e.b.fmul(sum_.value, constant(factor))
        e.store(e.b.fadd(e.load(y, at), value) if add else value, y, at)


def maximum(e, x, y, vectors, *, groups: Groups, channels: int, sources: int, row: int) -> None:
    """y[c, p] = the largest x[c, q] of the group of p; NaN wins."""
    table = _members(e, groups, row)
    with e.loop(channels) as c, e.loop(len(groups)) as p, e.loop(vectors) as v:
        here, channel = e.times(v, LANES), e.times(c, sources * row)
        largest = e.variable(constant(-math.inf))
        with e.pairs(table, p) as (source, _):
            value = e.load(x, channel, source, here)
            larger = e.b.fcmp_unordered(">", value, largest.value)
            largest.value = e.b.select(larger, value, largest.value)
        e.store(largest.value, y, e.times(c, len(groups) * row), e.times(p, row), here)


def maximum_back(
    e,
    x,
    y,
    dy,
    dx,
    vectors,
    *,
    groups: Groups,
    channels: int,
    sources: int,
    row: int,
    add: bool,
) -> None:
    """dx[c, q] (+)= dy[c, p] where x[c, q] is the first of the group that is the largest."""
    table = _members(e, groups, row)
    if not add:
        with each(e, channels * sources, row, vectors) as at:
            e.store(constant(0.0), dx, at)
    with e.loop(channels) as c, e.loop(len(groups)) as p, e.loop(vectors) as v:
        here, channel = e.times(v, LANES), e.times(c, sources * row)
        at = e.sum(e.times(c, len(groups) * row), e.times(p, row), here)
        largest, left = e.load(y, at), e.variable(e.load(dy, at))
        with e.pairs(table, p) as (source, _):
            equal = e.b.fcmp_ordered("==", e.load(x, channel, source, here), largest)
            change = e.b.select(equal, left.value, constant(0.0))
            left.value = e.b.select(equal, constant(0.0), left.value)
            e.store(e.b.fadd(e.load(dx, channel, source, here), change), dx, channel, source, here)


def _members(e: Emitter, groups: Groups, row: int) -> ir.Value:
    """Table of the offsets of each group's positions."""
    pairs = [(p, (q * row, 0)) for p, group in enumerate(groups) for q in group]
    return e.table(grouped(len(groups), pairs))

"""Layers without weights of their own kind, forward and backward, on [channels, positions, batch].

Each function writes the body of one kernel; `cells` is channels times positions, `row` the floats
from one cell to the next, `vectors` how many vectors of a row the batch fills.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llvmlite import ir

from lib.engine.kernels import mathematics as m
from lib.engine.kernels.conv import TILE, tiled
from lib.engine.kernels.emit import F32, I32, LANES, Emitter, constant


def activation(e: Emitter, kind: str, x: ir.Value, slope: float) -> ir.Value:
    """The activation of a vector."""
    if kind in ("relu", "leaky_relu"):
        below = constant(0.0) if kind == "relu" else e.b.fmul(x, constant(slope))
        positive = e.b.fcmp_ordered(">", x, constant(0.0))
        found = e.b.select(positive, x, below)
        return e.b.select(e.b.fcmp_ordered("ord", x, x), found, x)
    if kind == "sin":
        return m.sine(e, e.b.fmul(x, constant(slope)))
    if kind in ("silu", "gelu"):
        return e.b.fmul(x, {"silu": m.sigmoid, "gelu": m.normal}[kind](e, x))
    return {"tanh": m.tanh, "sigmoid": m.sigmoid}[kind](e, x)


def derivative(e: Emitter, kind: str, known: ir.Value, slope: float) -> ir.Value:
    """The activation's derivative, from its output (from its input for those of `FROM_INPUT`)."""
    if kind in ("relu", "leaky_relu"):
        positive = e.b.fcmp_ordered(">", known, constant(0.0))
        return e.b.select(positive, constant(1.0), constant(slope))
    if kind == "sin":
        scaled = e.b.fmul(known, constant(slope))
        return e.b.fmul(constant(slope), m.sine(e, scaled, cosine=True))
    square = e.b.fmul(known, known)
    if kind == "silu":
        share = m.sigmoid(e, known)
        rest = e.b.fsub(constant(1.0), share)
        return e.b.fmul(share, e.fma(known, rest, constant(1.0)))
    if kind == "gelu":
        density = m.exp(e, e.b.fmul(constant(-0.5), square))
        density = e.b.fmul(density, constant(1 / math.sqrt(2 * math.pi)))
        return e.fma(known, density, m.normal(e, known))
    return e.b.fsub(constant(1.0) if kind == "tanh" else known, square)


def activate(e, x, y, vectors, cells, *, kind: str, slope: float, row: int) -> None:
    """y = activation(x)."""
    with each(e, cells, row, vectors) as at:
        e.store(activation(e, kind, e.load(x, at), slope), y, at)


def activate_back(
    e, known, dy, dx, vectors, cells, *, kind: str, slope: float, row: int, add: bool
) -> None:
    """dx (+)= dy times the derivative."""
    with each(e, cells, row, vectors) as at:
        change = e.b.fmul(e.load(dy, at), derivative(e, kind, e.load(known, at), slope))
        e.store(e.b.fadd(e.load(dx, at), change) if add else change, dx, at)


def scale(e, x, y, vectors, cells, *, factor: float, row: int, add: bool) -> None:
    """y (+)= factor x."""
    with each(e, cells, row, vectors) as at:
        value = e.b.fmul(e.load(x, at), constant(factor))
        e.store(e.b.fadd(e.load(y, at), value) if add else value, y, at)


def total(e, a, b, y, vectors, cells, *, row: int) -> None:
    """y = a + b."""
    with each(e, cells, row, vectors) as at:
        e.store(e.b.fadd(e.load(a, at), e.load(b, at)), y, at)


def norm(
    e,
    x,
    weight,
    bias,
    running_mean,
    running_var,
    saved,
    mask,
    count,
    y,
    vectors,
    channels,
    positions,
    *,
    row: int,
    eps: float,
    momentum: float,
    training: bool,
) -> None:
    """Batch norm: by the batch in training (and the running statistics follow), else by those.

    `saved` gets mean and 1 / deviation of each
    channel, as vectors, for the way back; `count` is how many items the batch has.
    """
    one = constant(1.0)
    with e.loop(channels) as c:
        start = e.times(c, e.times(positions, row))
        if training:
            n = e.b.fmul(e.b.load(count, typ=F32), e.b.sitofp(positions, F32))

            def there(at, here):
                return [(e.load(x, at), e.load(mask, here))]

            (whole,) = _sums(e, start, positions, row, vectors, there)
            average = e.b.fdiv(whole, n)
            centre = e.splat(average)

            def squared(at, here, centre=centre):
                gap = e.b.fmul(e.b.fsub(e.load(x, at), centre), e.load(mask, here))
                return [(gap, gap)]

            (squares,) = _sums(e, start, positions, row, vectors, squared)
            unbiased = e.b.fdiv(squares, e.b.fsub(n, F32(1.0)))
            for value, running in ((average, running_mean), (unbiased, running_var)):
                old = e.number(running, c)
                step = e.b.fmul(e.b.fsub(value, old), F32(momentum))
                e.keep(e.b.fadd(old, step), running, c)
            spread = e.splat(e.b.fdiv(squares, n))
        else:
            centre, spread = (e.splat(e.number(k, c)) for k in (running_mean, running_var))
        inverse = e.b.fdiv(one, e.intrinsic("sqrt", e.b.fadd(spread, constant(eps))))
        if training:
            e.store(centre, saved, e.times(c, 2 * LANES))
            e.store(inverse, saved, e.times(c, 2 * LANES), LANES)
        gain = e.b.fmul(inverse, e.splat(e.number(weight, c)))
        shift = e.splat(e.number(bias, c))
        with _places(e, start, positions, row, vectors) as (at, _):
            e.store(e.fma(e.b.fsub(e.load(x, at), centre), gain, shift), y, at)


def norm_back(
    e,
    x,
    weight,
    saved,
    mask,
    count,
    dy,
    dweight,
    dbias,
    dx,
    vectors,
    channels,
    positions,
    *,
    row: int,
    add: bool,
) -> None:
    """Gradients of batch norm in training; dx (+)=."""
    with e.loop(channels) as c:
        start = e.times(c, e.times(positions, row))
        centre = e.load(saved, e.times(c, 2 * LANES))
        inverse = e.load(saved, e.times(c, 2 * LANES), LANES)

        def terms(at, here, centre=centre):
            up = e.load(dy, at)
            return [(up, constant(1.0)), (up, e.b.fsub(e.load(x, at), centre))]

        found = _sums(e, start, positions, row, vectors, terms, 2)
        sum_plain, sum_weighted = (e.splat(value) for value in found)
        change = e.b.fmul(sum_weighted, inverse)
        e.keep(e.b.extract_element(change, I32(0)), dweight, c)
        e.keep(found[0], dbias, c)
        n = e.splat(e.b.fmul(e.b.load(count, typ=F32), e.b.sitofp(positions, F32)))
        gain = e.b.fmul(inverse, e.splat(e.number(weight, c)))
        offset = e.b.fdiv(sum_plain, n)
        tilt = e.b.fdiv(e.b.fmul(change, inverse), n)
        with _places(e, start, positions, row, vectors) as (at, here):
            gap = e.b.fsub(e.load(x, at), centre)
            value = e.b.fsub(e.b.fsub(e.load(dy, at), offset), e.b.fmul(gap, tilt))
            value = e.b.fmul(e.b.fmul(value, gain), e.load(mask, here))
            e.store(e.b.fadd(e.load(dx, at), value) if add else value, dx, at)


def affine(e, x, weight, bias, y, vectors, channels, positions, *, row: int) -> None:
    """y = weight x + bias, with numbers of each channel's own."""
    with e.loop(channels) as c:
        start = e.times(c, e.times(positions, row))
        gain, shift = (e.splat(e.number(values, c)) for values in (weight, bias))
        with _places(e, start, positions, row, vectors) as (at, _):
            e.store(e.fma(e.load(x, at), gain, shift), y, at)


def affine_back(
    e, x, weight, dy, dweight, dbias, dx, vectors, channels, positions, *, row: int, how: str
) -> None:
    """Gradients of `affine`; that of x is stored, added or left out, as `how` says."""
    with e.loop(channels) as c:
        start = e.times(c, e.times(positions, row))

        def terms(at, here):
            return [(e.load(dy, at), constant(1.0)), (e.load(dy, at), e.load(x, at))]

        plain, weighted = _sums(e, start, positions, row, vectors, terms, 2)
        e.keep(weighted, dweight, c)
        e.keep(plain, dbias, c)
        if how != "left out":
            gain = e.splat(e.number(weight, c))
            with _places(e, start, positions, row, vectors) as (at, _):
                change = e.b.fmul(e.load(dy, at), gain)
                e.store(e.b.fadd(e.load(dx, at), change) if how == "added" else change, dx, at)


def bias_back(e, dy, dbias, vectors, channels, positions, *, row: int) -> None:
    """Gradient of a bias: dy summed over positions and batch."""
    with e.loop(channels) as c:
        start = e.times(c, e.times(positions, row))
        (found,) = _sums(
            e, start, positions, row, vectors, lambda at, here: [(e.load(dy, at), constant(1.0))]
        )
        e.keep(found, dbias, c)


@contextmanager
def each(e: Emitter, cells: ir.Value, row: int, vectors: ir.Value) -> Iterator[ir.Value]:
    """Every vector of every cell, by its offset."""
    with e.loop(cells) as cell, e.loop(vectors) as v:
        yield e.sum(e.times(cell, row), e.times(v, LANES))


@contextmanager
def _places(
    e: Emitter, start: ir.Value, positions: ir.Value, row: int, vectors: ir.Value
) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Every vector of a channel that starts at `start`: its offset, and its offset in the row."""
    with e.loop(positions) as p, e.loop(vectors) as v:
        here = e.times(v, LANES)
        yield e.sum(start, e.times(p, row), here), here


def _sums(
    e: Emitter,
    start: ir.Value,
    positions: ir.Value,
    row: int,
    vectors: ir.Value,
    terms: Callable[[ir.Value, ir.Value], list[tuple[ir.Value, ir.Value]]],
    count: int = 1,
) -> list[ir.Value]:
    """Sums over a channel of the `count` products that `terms` gives, each as one float.

    Each vector of a tile has a sum of its own, so that no addition waits for the one before.
    """
    sums = {(k, v): e.variable(constant(0.0)) for k in range(count) for v in range(TILE)}
    for width, offset in tiled(e, vectors):
        with e.loop(positions) as p:
            for v in range(width):
                here = e.sum(offset, v * LANES)
                for k, (a, b) in enumerate(terms(e.sum(start, e.times(p, row), here), here)):
                    sums[k, v].value = e.fma(a, b, sums[k, v].value)
    folded = []
    for k in range(count):
        parts = [sums[k, v].value for v in range(TILE)]
        while len(parts) > 1:
            parts = [e.b.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        folded.append(parts[0])
    return e.totals(folded)

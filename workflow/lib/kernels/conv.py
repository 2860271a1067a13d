"""Convolution on activations [channels, positions, batch], batch innermost.

All three passes are register tiles of vectors over the batch, steered by tables of which tap joins
which two positions; stride, padding and dilation live in the tables alone. A linear layer is the
case of one position and one tap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

from llvmlite import ir

from lib.kernels.emit import LANES, Emitter, constant, integer

TILE = 4  # vectors of the batch that a register tile holds
BAND = 8192  # floats of one channel that a band of positions holds


@dataclass(frozen=True)
class Taps:
    """Which tap joins which positions: triples (tap, input position, output position)."""

    count: int
    inputs: int
    outputs: int
    triples: tuple[tuple[int, int, int], ...]


def taps(
    shape: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> Taps:
    """The taps of a convolution over a map of this shape; padding is top, bottom, left, right."""
    height, width = shape
    top, bottom, left, right = padding
    rows = (height + top + bottom - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    columns = (width + left + right - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
    triples = []
    for row in range(rows):
        for column in range(columns):
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    y = row * stride[0] - top + i * dilation[0]
                    x = column * stride[1] - left + j * dilation[1]
                    if 0 <= y < height and 0 <= x < width:
                        triples.append((i * kernel[1] + j, y * width + x, row * columns + column))
    return Taps(kernel[0] * kernel[1], height * width, rows * columns, tuple(triples))


@contextmanager
def block(e: Emitter, start: int, size: int, count: int) -> Iterator[int | ir.Value]:
    """The first index of each of `count` blocks of a size, from `start` on."""
    if count == 1:
        yield start
        return
    with e.loop(count) as n:
        yield e.b.add(e.times(n, size), integer(start))


def blocks(total: int, largest: int) -> list[tuple[int, int, int]]:
    """Cut into the fewest blocks, equal but for one: (start, size, how many of them)."""
    count = -(-total // largest)
    small, larger = divmod(total, count)
    cut = [(0, small + 1, larger), (larger * (small + 1), small, count - larger)]
    return [piece for piece in cut if piece[2]]


def product(
    e: Emitter,
    x: ir.Value,
    w: ir.Value,
    bias: ir.Value,
    y: ir.Value,
    vectors: ir.Value,
    *,
    row: int,
    taps: Taps,
    outs: int,
    ins: int,
    biased: bool = False,
    transposed: bool = False,
    add: bool = False,
    tile: int = 6,
) -> None:
    """Every output position gathers its taps: the forward pass, or the gradient of the input.

    y[o, p] (+)= bias[o] + sum over taps (t, q) of p and i of w[o, i, t] x[i, q]; `transposed`
    swaps the roles of inputs and outputs and reads w[i, o, t].
    """
    joined = [(t, p, q) if transposed else (t, q, p) for t, q, p in taps.triples]
    sources, targets = (taps.outputs, taps.inputs)[:: 1 if transposed else -1]
    starts, entries = grouped(e, targets, [(p, (t, q * row)) for t, q, p in joined])
    out_step, in_step = taps.count * (1 if transposed else ins), taps.count * (
        outs if transposed else 1
    )

    def gather(p: ir.Value, o: int | ir.Value, size: int, width: int, offset: ir.Value) -> None:
        place = e.sum(e.times(p, row), offset, e.times(o, targets * row))
        steps = [(k, v) for k in range(size) for v in range(width)]
        at = {(k, v): k * targets * row + v * LANES for k, v in steps}
        sums = {}
        for k, v in steps:
            start = constant(0.0)
            if add:
                start = e.load(y, place, at[k, v])
            elif biased:
                start = e.splat(e.number(bias, o, k))
            sums[k, v] = e.variable(start)
        with e.loop(e.entry_of(starts, p, 1), e.entry_of(starts, p)) as n:
            tap, source = (e.entry_of(entries, e.times(n, 2), k) for k in range(2))
            with e.loop(ins) as i:
                here = e.sum(e.times(i, sources * row), source, offset)
                values = [e.load(x, here, v * LANES) for v in range(width)]
                weight = e.sum(e.times(i, in_step), tap, e.times(o, out_step))
                for k in range(size):
                    factor = e.splat(e.number(w, weight, k * out_step))
                    for v in range(width):
                        sums[k, v].value = e.fma(factor, values[v], sums[k, v].value)
        for k, v in steps:
            e.store(sums[k, v].value, y, place, at[k, v])

    for width, offset in tiled(e, vectors):
        with e.loop(targets) as p:
            for start, size, count in blocks(outs, tile):
                with block(e, start, size, count) as o:
                    gather(p, o, size, width, offset)


def weight_gradient(
    e: Emitter,
    x: ir.Value,
    dy: ir.Value,
    dw: ir.Value,
    vectors: ir.Value,
    *,
    row: int,
    taps: Taps,
    outs: int,
    ins: int,
    tile: tuple[int, int] = (4, 4),
) -> None:
    """dw[o, i, t] = sum over the positions (q, p) that tap t joins of x[i, q] dy[o, p].

    Positions go by in bands that fit into the cache; the bands' sums are added in order.
    """
    band = max(1, BAND // row)
    bands = -(-taps.outputs // band)
    joined = [((p // band) * taps.count + t, (q * row, p * row)) for t, q, p in taps.triples]
    starts, entries = grouped(e, bands * taps.count, joined)

    def sum_tap(number: ir.Value, tap: ir.Value, o, osize: int, i, isize: int, add: bool) -> None:
        steps = [(k, j) for k in range(osize) for j in range(isize)]
        sums = {step: e.variable(constant(0.0)) for step in steps}
        group = e.sum(e.times(number, taps.count), tap)
        with e.loop(e.entry_of(starts, group, 1), e.entry_of(starts, group)) as n:
            q, p = (e.entry_of(entries, e.times(n, 2), k) for k in range(2))
            q = e.sum(q, e.times(i, taps.inputs * row))
            p = e.sum(p, e.times(o, taps.outputs * row))
            with e.loop(vectors) as v:
                here = e.times(v, LANES)
                ups = [e.load(dy, p, here, k * taps.outputs * row) for k in range(osize)]
                for j in range(isize):
                    value = e.load(x, q, here, j * taps.inputs * row)
                    for k in range(osize):
                        sums[k, j].value = e.fma(ups[k], value, sums[k, j].value)
        totals = e.totals([sums[step].value for step in steps])
        first = e.sum(e.times(o, ins * taps.count), e.times(i, taps.count), tap)
        for (k, j), total in zip(steps, totals, strict=True):
            at = (k * ins + j) * taps.count
            e.keep(e.b.fadd(e.number(dw, first, at), total) if add else total, dw, first, at)

    def sum_band(number: ir.Value, add: bool) -> None:
        for ostart, osize, ocount in blocks(outs, tile[0]):
            with block(e, ostart, osize, ocount) as o:
                for istart, isize, icount in blocks(ins, tile[1]):
                    with block(e, istart, isize, icount) as i, e.loop(taps.count) as tap:
                        sum_tap(number, tap, o, osize, i, isize, add)

    sum_band(integer(0), False)
    if bands > 1:
        with e.loop(bands, 1) as number:
            sum_band(number, True)


def tiled(e: Emitter, vectors: ir.Value) -> Iterator[tuple[int, ir.Value]]:
    """Go through the vectors of a batch in tiles, then one at a time: (vectors, first float).

    What the loop over this generator emits is emitted twice.
    """
    whole = e.b.sdiv(vectors, integer(TILE))
    with e.loop(whole) as n:
        yield TILE, e.times(n, TILE * LANES)
    with e.loop(vectors, e.times(whole, TILE)) as v:
        yield 1, e.times(v, LANES)


def grouped(
    e: Emitter, groups: int, members: Sequence[tuple[int, tuple[int, int]]]
) -> tuple[ir.Value, ir.Value]:
    """Tables of pairs by group: where each group starts, and the pairs."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(groups)]
    for group, pair in members:
        found[group].append(pair)
    starts = [0, *accumulate(map(len, found))]
    return e.table(starts), e.table([n for group in found for pair in group for n in pair] or [0])

"""Convolution on activations [channels, positions, batch], batch innermost.

All three passes are register tiles of vectors over the batch, steered by tables of which tap joins
which two positions; stride, padding and dilation live in the tables alone. A linear layer is the
case of one position and one tap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from llvmlite import ir

from lib.engine.kernels.emit import F32, LANES, Emitter, constant, integer

TILE = 4  # vectors of the batch that a register tile of a product holds
ROWS = 6  # channels that it holds at most
OUTS, INS = 6, 4  # channels out and in that a register tile of a weight gradient holds
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


def blocks(total: int, largest: int) -> list[tuple[int, int]]:
    """Cut into the fewest blocks, equal but for one: (start, size)."""
    count = -(-total // largest)
    sizes = [total // count + (k < total % count) for k in range(count)]
    return list(zip(accumulate(sizes, initial=0), sizes, strict=False))


def grouped(groups: int, members: Sequence[tuple[int, tuple[int, int]]]) -> list[int]:
    """A table of pairs by group: where each of the `groups` starts and the last ends, the pairs."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(groups)]
    for group, pair in members:
        found[group].append(pair)
    starts = accumulate(map(len, found), initial=0)
    first = groups + 1
    pairs = [number for group in found for pair in group for number in pair]
    return [*(first + 2 * start for start in starts), *pairs]


def gathers(taps: Taps, row: int, transposed: bool) -> list[int]:
    """For each output position the (tap, offset of the input position) that reach it.

    `transposed`: for each input position those of the output positions.
    """
    if transposed:
        return grouped(taps.inputs, [(q, (t, p * row)) for t, q, p in taps.triples])
    return grouped(taps.outputs, [(p, (t, q * row)) for t, q, p in taps.triples])


def bands(taps: Taps, row: int) -> tuple[int, list[int]]:
    """How many bands of positions there are; for each band and tap the offsets it joins."""
    height = max(1, BAND // row)
    count = -(-taps.outputs // height)
    joined = [((p // height) * taps.count + t, (q * row, p * row)) for t, q, p in taps.triples]
    return count, grouped(count * taps.count, joined)


def product(
    e: Emitter,
    x: ir.Value,
    w: ir.Value,
    bias: ir.Value,
    y: ir.Value,
    pairs: ir.Value,
    cut: ir.Value,
    vectors: ir.Value,
    count: ir.Value,
    targets: ir.Value,
    sources: ir.Value,
    ins: ir.Value,
    out_step: ir.Value,
    in_step: ir.Value,
    add: ir.Value,
    *,
    row: int,
    sizes: Sequence[int],
) -> None:
    """Every output position gathers its taps: the forward pass, or the gradient of the input.

    y[o, p] = start + sum over the taps (t, q) of p and over i of w[o, i, t] x[i, q], where the
    start is bias[o], or what y holds if `add` is not 0. `pairs` is made by `gathers`, `cut` by
    `blocks` (`count` of them, of at most `ROWS`; `sizes` are those that occur); o and i are
    `out_step` and `in_step` weights apart. Each sum runs over taps first, then inputs.
    """

    def gather(p: ir.Value, o: ir.Value, size: int, width: int, offset: ir.Value) -> None:
        channel = e.times(targets, row)
        place = e.sum(e.times(p, row), offset, e.times(o, channel))
        steps = [(k, v) for k in range(size) for v in range(width)]
        ats = [e.sum(place, e.times(channel, k)) for k in range(size)]
        sums = {step: e.variable(constant(0.0)) for step in steps}
        with e.b.if_else(e.b.icmp_signed("!=", add, integer(0))) as (then, otherwise):
            with then:
                for k, v in steps:
                    sums[k, v].value = e.load(y, ats[k], v * LANES)
            with otherwise:
                for k, v in steps:
                    sums[k, v].value = e.splat(e.number(bias, o, k))
        with e.pairs(pairs, p) as (tap, source):
            weights = [e.sum(tap, e.times(e.sum(o, k), out_step)) for k in range(size)]
            with e.loop(ins) as i:
                here = e.sum(e.times(i, e.times(sources, row)), source, offset)
                values = [e.load(x, here, v * LANES) for v in range(width)]
                for k in range(size):
                    factor = e.splat(e.number(w, weights[k], e.times(i, in_step)))
                    for v in range(width):
                        sums[k, v].value = e.fma(factor, values[v], sums[k, v].value)
        for k, v in steps:
            e.store(sums[k, v].value, y, ats[k], v * LANES)

    for width, offset in tiled(e, vectors):
        with e.loop(targets) as p, e.loop(count) as n:
            o, size = (e.entry_of(cut, e.times(n, 2), k) for k in range(2))
            for known in sizes:
                with e.when(size, known):
                    gather(p, o, known, width, offset)


def weight_gradient(
    e: Emitter,
    x: ir.Value,
    dy: ir.Value,
    dw: ir.Value,
    pairs: ir.Value,
    out_cut: ir.Value,
    in_cut: ir.Value,
    vectors: ir.Value,
    bands: ir.Value,
    taps: ir.Value,
    out_count: ir.Value,
    in_count: ir.Value,
    outputs: ir.Value,
    inputs: ir.Value,
    ins: ir.Value,
    *,
    row: int,
    sizes: Sequence[tuple[int, int]],
) -> None:
    """dw[o, i, t] = sum over the positions (q, p) that tap t joins of x[i, q] dy[o, p].

    `pairs` is made by `bands`: positions go by in bands that fit into the cache, and the bands'
    sums are added in order. `out_cut` and `in_cut` are made by `blocks`, of at most `OUTS` and
    `INS`; `sizes` are the pairs of their sizes that occur.
    """

    def sum_tap(band, tap, o, osize: int, i, isize: int) -> None:
        group = e.sum(e.times(band, taps), tap)
        begun = e.b.icmp_signed(">", band, integer(0))
        steps = [(k, j) for k in range(osize) for j in range(isize)]
        sums = {step: e.variable(constant(0.0)) for step in steps}
        ups_at = [e.times(e.times(e.sum(o, k), outputs), row) for k in range(osize)]
        values_at = [e.times(e.times(e.sum(i, j), inputs), row) for j in range(isize)]
        with e.pairs(pairs, group) as (q, p), e.loop(vectors) as v:
            here = e.times(v, LANES)
            ups = [e.load(dy, p, here, at) for at in ups_at]
            for j, at in enumerate(values_at):
                value = e.load(x, q, here, at)
                for k in range(osize):
                    sums[k, j].value = e.fma(ups[k], value, sums[k, j].value)
        totals = e.totals([sums[step].value for step in steps])
        for (k, j), total in zip(steps, totals, strict=True):
            weight = e.sum(e.times(e.sum(o, k), ins), i, j)
            at = e.sum(e.times(weight, taps), tap)
            before = e.b.select(begun, e.number(dw, at), F32(0.0))
            e.keep(e.b.fadd(before, total), dw, at)

    with e.loop(bands) as band, e.loop(out_count) as m, e.loop(in_count) as n:
        o, osize = (e.entry_of(out_cut, e.times(m, 2), k) for k in range(2))
        i, isize = (e.entry_of(in_cut, e.times(n, 2), k) for k in range(2))
        size = e.b.add(e.times(osize, INS + 1), isize)
        for outs, ins_ in sizes:
            with e.when(size, outs * (INS + 1) + ins_), e.loop(taps) as tap:
                sum_tap(band, tap, o, outs, i, ins_)


def tiled(e: Emitter, vectors: ir.Value) -> Iterator[tuple[int, ir.Value]]:
    """Go through the vectors of a batch in tiles, then one at a time: (vectors, first float).

    What the loop over this generator emits is emitted twice.
    """
    whole = e.b.sdiv(vectors, integer(TILE))
    with e.loop(whole) as n:
        yield TILE, e.times(n, TILE * LANES)
    with e.loop(vectors, e.times(whole, TILE)) as v:
        yield 1, e.times(v, LANES)

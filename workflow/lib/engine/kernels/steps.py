"""What a training step does around the network: assemble a batch, measure the loss, update."""

from __future__ import annotations

from llvmlite import ir

from lib.engine.kernels import mathematics as m
from lib.engine.kernels.emit import F32, I32, I64, IVEC, LANES, VEC, Emitter, constant, integer

# places in the hyperparameters of an instance, as floats
MOMENTUM, WEIGHT_DECAY, SMOOTHING = range(3)
HYPERPARAMETERS = 3


def assemble(
    e: Emitter,
    images,
    order,
    shifts,
    flips,
    mask,
    x,
    first,
    count,
    vectors,
    *,
    shape: tuple[int, int, int],
    padding: int,
    shifted: bool,
    flipped: bool,
    row: int,
) -> None:
    """x[c, p, b] of the images `order[first + b]`, batch innermost; lanes past `count` are zero.

    `images` are padded by `padding` on each side; `shifts` are rows and columns in them, `flips`
    0 or 1. `mask` gets 1 where an image is and 0 behind the last one.
    """
    channels, height, width = shape
    tall, wide = height + 2 * padding, width + 2 * padding
    b = e.b
    with e.loop(vectors) as v:
        lanes = []
        weights = ir.Constant(VEC, [0.0] * LANES)
        for lane in range(LANES):
            k = e.sum(e.times(v, LANES), lane)
            there = b.icmp_signed("<", k, count)
            weights = b.insert_element(weights, b.select(there, F32(1.0), F32(0.0)), I32(lane))
            k = e.sum(first, b.select(there, k, integer(0)))
            image = b.sext(b.load(e.at(order, k, of=I32), typ=I32), I64)
            at = e.times(image, channels * tall * wide)
            if shifted:
                down, right = (
                    b.sext(b.load(e.at(shifts, e.times(k, 2), d, of=I32), typ=I32), I64)
                    for d in (0, 1)
                )
                at = e.sum(at, e.times(down, wide), right)
            step = integer(1)
            if flipped:
                flip = b.sext(b.load(e.at(flips, k, of=I32), typ=I32), I64)
                at = e.sum(at, e.times(flip, width - 1))
                step = b.sub(step, e.times(flip, 2))
            lanes.append((at, step))
        e.store(weights, mask, e.times(v, LANES))
        with e.loop(channels) as c, e.loop(height) as i, e.loop(width) as j:
            line = e.sum(e.times(c, tall * wide), e.times(i, wide))
            value = constant(0.0)
            for lane, (at, step) in enumerate(lanes):
                column = b.mul(j, step) if flipped else j
                pixel = e.number(images, at, line, column)
                value = b.insert_element(value, pixel, I32(lane))
            value = b.fmul(value, weights)
            cell = e.sum(e.times(c, height * width), e.times(i, width), j)
            e.store(value, x, e.times(cell, row), e.times(v, LANES))


def cross_entropy(
    e: Emitter,
    logits,
    labels,
    order,
    hyper,
    mask,
    gradient,
    stats,
    first,
    count,
    vectors,
    *,
    classes: int,
    row: int,
) -> None:
    """Mean cross entropy with label smoothing: its gradient, and (loss, hits) of the batch.

    `labels` are those of all images, read through `order` as the images are.
    """
    b = e.b
    smoothing = e.number(hyper, SMOOTHING)
    rest = b.fsub(F32(1.0), smoothing)
    share = e.splat(b.fdiv(smoothing, F32(float(classes))))
    size = b.sitofp(count, F32)
    losses, hits = e.variable(constant(0.0)), e.variable(constant(0.0))
    with e.loop(vectors) as v:
        here = e.times(v, LANES)
        label = ir.Constant(IVEC, [0] * LANES)
        for lane in range(LANES):
            image = _item(e, order, first, count, e.sum(here, lane))
            number = b.load(e.at(labels, image, of=I32), typ=I32)
            label = b.insert_element(label, number, I32(lane))
        highest = e.variable(e.load(logits, here))
        best = e.variable(ir.Constant(IVEC, [0] * LANES))
        with e.loop(classes, 1) as k:
            value = e.load(logits, e.times(k, row), here)
            higher = b.fcmp_ordered(">", value, highest.value)
            highest.value = b.select(higher, value, highest.value)
            best.value = b.select(higher, _class(e, k), best.value)
        whole, sum_, own = (e.variable(constant(0.0)) for _ in range(3))
        with e.loop(classes) as k:
            value = b.fsub(e.load(logits, e.times(k, row), here), highest.value)
            grown = m.exp(e, value)
            e.store(grown, gradient, e.times(k, row), here)
            whole.value = b.fadd(whole.value, grown)
            sum_.value = b.fadd(sum_.value, value)
            is_label = b.icmp_signed("==", _class(e, k), label)
            own.value = b.select(is_label, value, own.value)
        logarithm = m.log(e, whole.value)
        there = e.load(mask, here)
        loss = b.fmul(e.splat(rest), b.fsub(logarithm, own.value))
        spread = b.fsub(b.fmul(constant(float(classes)), logarithm), sum_.value)
        loss = e.fma(share, spread, loss)
        losses.value = e.fma(loss, there, losses.value)
        right = b.select(b.icmp_signed("==", best.value, label), there, constant(0.0))
        hits.value = b.fadd(hits.value, right)
        factor = b.fdiv(there, e.splat(size))
        with e.loop(classes) as k:
            chance = b.fdiv(e.load(gradient, e.times(k, row), here), whole.value)
            is_label = b.icmp_signed("==", _class(e, k), label)
            wanted = b.select(is_label, b.fadd(e.splat(rest), share), share)
            change = b.fmul(b.fsub(chance, wanted), factor)
            e.store(change, gradient, e.times(k, row), here)
    loss, right = e.totals([losses.value, hits.value])
    e.keep(b.fdiv(loss, size), stats, 0)
    e.keep(right, stats, 1)


def squared_error(
    e: Emitter,
    outputs,
    targets,
    order,
    hyper,
    mask,
    gradient,
    stats,
    first,
    count,
    vectors,
    *,
    classes: int,
    row: int,
) -> None:
    """Mean squared error to `targets` [items, outputs]: gradient, and (loss, 0) of the batch."""
    b = e.b
    size = b.fmul(b.sitofp(count, F32), F32(float(classes)))
    losses = e.variable(constant(0.0))
    with e.loop(vectors) as v:
        here = e.times(v, LANES)
        there = e.load(mask, here)
        with e.loop(classes) as k:
            wanted = constant(0.0)
            for lane in range(LANES):
                item = _item(e, order, first, count, e.sum(here, lane))
                number = e.number(targets, e.times(item, classes), k)
                wanted = b.insert_element(wanted, number, I32(lane))
            gap = b.fmul(b.fsub(e.load(outputs, e.times(k, row), here), wanted), there)
            losses.value = e.fma(gap, gap, losses.value)
            change = b.fdiv(b.fadd(gap, gap), e.splat(size))
            e.store(change, gradient, e.times(k, row), here)
    e.keep(b.fdiv(e.totals([losses.value])[0], size), stats, 0)
    e.keep(F32(0.0), stats, 1)


def sgd(e: Emitter, weights, slots, gradient, hyper, rate, *, size: int) -> None:
    """The update of `torch.optim.SGD` with momentum; `size` is a multiple of a vector's length."""
    momentum, decay = (e.splat(e.number(hyper, k)) for k in (MOMENTUM, WEIGHT_DECAY))
    rate = e.splat(e.number(rate, 0))
    with e.loop(size // LANES) as n:
        at = e.times(n, LANES)
        weight = e.load(weights, at)
        change = e.fma(decay, weight, e.load(gradient, at))
        change = e.fma(momentum, e.load(slots, at), change)
        e.store(change, slots, at)
        e.store(e.fma(e.b.fneg(rate), change, weight), weights, at)


def adam(
    e: Emitter,
    weights,
    slots,
    gradient,
    hyper,
    rate,
    *,
    size: int,
    betas: tuple[float, float],
    eps: float,
    decoupled: bool,
) -> None:
    """The update of `torch.optim.Adam`, or of `AdamW` where the decay is decoupled.

    `rate` holds the learning rate, the rate over the first moment's correction, and one over the
    root of the second moment's correction.
    """
    b = e.b
    decay = e.splat(e.number(hyper, WEIGHT_DECAY))
    plain, corrected, root = (e.splat(e.number(rate, k)) for k in range(3))
    one = constant(1.0)
    with e.loop(size // LANES) as n:
        at = e.times(n, LANES)
        weight, change = e.load(weights, at), e.load(gradient, at)
        if decoupled:
            weight = b.fmul(weight, b.fsub(one, b.fmul(plain, decay)))
        else:
            change = e.fma(decay, weight, change)
        first, second = e.load(slots, at), e.load(slots, at, size)
        first = e.fma(constant(1 - betas[0]), b.fsub(change, first), first)
        square = b.fmul(change, change)
        second = e.fma(constant(1 - betas[1]), b.fsub(square, second), second)
        e.store(first, slots, at)
        e.store(second, slots, at, size)
        size_ = e.fma(e.intrinsic("sqrt", second), root, constant(eps))
        step = b.fdiv(b.fmul(corrected, first), size_)
        e.store(b.fsub(weight, step), weights, at)


def _item(e: Emitter, order, first, count, k) -> ir.Value:
    """Number of the k-th item of a batch; of the first, where the batch has ended."""
    there = e.b.icmp_signed("<", k, count)
    k = e.sum(first, e.b.select(there, k, integer(0)))
    return e.b.sext(e.b.load(e.at(order, k, of=I32), typ=I32), I64)


def _class(e: Emitter, number: ir.Value) -> ir.Value:
    """A class number in every lane."""
    lone = e.b.insert_element(ir.Constant(IVEC, ir.Undefined), e.b.trunc(number, I32), I32(0))
    undefined = ir.Constant(IVEC, ir.Undefined)
    return e.b.shuffle_vector(lone, undefined, ir.Constant(IVEC, [0] * LANES))

"""How many multiply-adds of float32 a core can do: the best of a few loops that do nothing else."""

from __future__ import annotations

import ctypes
from functools import partial

import torch
from llvmlite import ir

from lib.bench.subjects import Runner
from lib.engine.kernels.backend import aligned
from lib.engine.kernels.emit import LANES, POINTER, Emitter, constant
from lib.engine.kernels.machine import library

SIDE = 1024  # of the matrices
TURNS = 100_000


def matrices() -> Runner:
    """torch's product of large matrices; multiply-adds done."""
    a, b, out = (torch.zeros(SIDE, SIDE) for _ in range(3))

    def run() -> int:
        torch.mm(a, b, out=out)
        return SIDE**3

    return run


def registers(count: int) -> Runner:
    """A loop over `count` sums of 16 lanes that never leave the registers; multiply-adds done."""
    module = ir.Module()
    e = Emitter(module, "peak", [POINTER])
    (place,) = e.function.args
    sums = [e.variable(e.load(place, k * LANES)) for k in range(count)]
    with e.loop(TURNS):
        for sum_ in sums:
            sum_.value = e.fma(sum_.value, constant(0.5), constant(1.0))
    for k, sum_ in enumerate(sums):
        e.store(sum_.value, place, k * LANES)
    e.finish()
    run_, room = library(module).function("peak", [ctypes.c_void_p]), aligned(count * LANES)

    def run() -> int:
        run_(room.data_ptr())
        return TURNS * count * LANES

    return run


# so many sums hide the latency of an addition, and no more fit into the registers, of AVX2 and
# of AVX-512 processors
RUNNERS = {
    "matrices": matrices,
    "6 registers": partial(registers, 6),
    "12 registers": partial(registers, 12),
}

"""A module's whole training epoch, and its forward pass, as two functions of machine code.

One network runs at a time, all its activations in cache; nothing of one network depends on which
others there are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from llvmlite import ir

from lib.engine.kernels import steps
from lib.engine.kernels.emit import F32, LANES, integer
from lib.engine.kernels.graph import Graph, Value
from lib.engine.kernels.machine import library
from lib.engine.kernels.plan import plan
from lib.engine.kernels.writer import Kernels, Recipe, Writer

RATES = 3  # floats for each step: see `steps.adam`
LOSSES = {"cross_entropy": steps.cross_entropy, "squared_error": steps.squared_error}
EPOCH = ("state", "slots", "inputs", "targets", "order", "shifts", "flips", "rates", "hyper")


class Program:
    """Compiled `epoch` and `outputs` of one architecture.

    Attributes:
        workspace, evaluation: floats that `epoch` and `outputs` need to work in.
    """

    def __init__(
        self, graph: Graph, offsets: Mapping[str, int], parameters: int, recipe: Recipe
    ) -> None:
        """Compile.

        Args:
            graph: the traced module.
            offsets: where each parameter and buffer lies in the state of an instance.
            parameters: how many floats of the state are trained; whole vectors.
            recipe: how.
        """
        self.recipe = recipe
        trained = plan(graph, recipe.row, parameters, training=True)
        seen = plan(graph, recipe.row, parameters, training=False)
        self.workspace, self.evaluation = trained.size, seen.size
        module = ir.Module()
        kernels = Kernels(module)
        _epoch(Writer(kernels, graph, offsets, recipe, trained, True), parameters)
        _outputs(Writer(kernels, graph, offsets, recipe, seen, False))
        found = library(module)
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self.epoch = found.function("epoch", [pointer] * (len(EPOCH) + 2) + [number])
        self.outputs = found.function("outputs", [pointer] * 5 + [number])


def _epoch(w: Writer, parameters: int) -> None:
    """void epoch(<EPOCH>, workspace, stats, items): stats gets (loss, hits) of each step."""
    e, pointers, items = w.start("epoch", len(EPOCH) + 2)
    w.state, slots, inputs, targets, order, shifts, flips, rates, hyper, w.work, stats = pointers
    recipe, b, graph = w.recipe, e.b, w.graph
    gradient = e.at(w.work, w.plan.gradient)
    with e.loop(parameters // LANES) as n:
        e.store(ir.Constant(ir.VectorType(F32, LANES), [0.0] * LANES), gradient, e.times(n, LANES))
    number = e.alloca(F32)
    batches = b.sdiv(e.sum(items, recipe.batch - 1), integer(recipe.batch))
    with e.loop(batches) as step:
        first, size = _begin(w, step, items)
        mask = e.at(w.work, w.plan.mask)
        shape = (graph.input.channels, *_map(graph.input))
        w.call(
            steps.assemble,
            inputs,
            order,
            shifts,
            flips,
            mask,
            w.data(graph.input),
            first,
            size,
            w.vectors,
            shape=shape,
            padding=recipe.padding,
            shifted=recipe.shifted,
            flipped=recipe.flipped,
            row=w.row,
        )
        w.count = number
        b.store(b.sitofp(size, F32), number)
        w.forward()
        w.call(
            LOSSES[recipe.loss],
            w.data(graph.output),
            targets,
            order,
            hyper,
            mask,
            w.grad(graph.output),
            e.at(stats, e.times(step, 2)),
            first,
            size,
            w.vectors,
            classes=graph.output.cells,
            row=w.row,
        )
        w.backward()
        rate = e.at(rates, e.times(step, RATES))
        if recipe.optimizer == "sgd":
            w.call(steps.sgd, w.state, slots, gradient, hyper, rate, size=parameters)
        else:
            w.call(
                steps.adam,
                w.state,
                slots,
                gradient,
                hyper,
                rate,
                size=parameters,
                betas=recipe.betas,
                eps=recipe.eps,
                decoupled=recipe.optimizer == "adamw",
            )
    e.finish()


def _outputs(w: Writer) -> None:
    """void outputs(state, inputs, order, work, found, n): found is [outputs, n in whole rows]."""
    e, pointers, items = w.start("outputs", 5)
    w.state, inputs, order, w.work, found = pointers
    write_outputs(w, inputs, order, found, items)
    e.finish()


def write_outputs(w: Writer, inputs, order, found, items) -> None:
    """The forward pass over all items, in batches; `found` is [outputs, items in whole rows]."""
    e, cells = w.e, w.graph.output.cells
    w.count = e.alloca(F32)
    with batches(w, items) as (step, first, size, width):
        show(w, inputs, order, first, size)
        w.forward()
        with e.loop(cells) as k, e.loop(w.vectors) as v:
            here = e.times(v, LANES)
            value = e.load(w.data(w.graph.output), e.times(k, w.row), here)
            e.store(value, found, e.times(k, width), e.times(step, w.row), here)


def show(w: Writer, inputs, order, first, size) -> None:
    """Put a batch of inputs, as they are, where the network reads them."""
    w.call(
        steps.assemble,
        inputs,
        order,
        order,
        order,
        w.e.at(w.work, w.plan.mask),
        w.data(w.graph.input),
        first,
        size,
        w.vectors,
        shape=(w.graph.input.channels, *_map(w.graph.input)),
        padding=0,
        shifted=False,
        flipped=False,
        row=w.row,
    )


@contextmanager
def batches(w: Writer, items: ir.Value) -> Iterator[tuple[ir.Value, ...]]:
    """Every batch of the items: its number, first item and size, and the length of all rows."""
    e, batch = w.e, integer(w.recipe.batch)
    count = e.b.sdiv(e.sum(items, w.recipe.batch - 1), batch)
    with e.loop(count) as step:
        first, size = _begin(w, step, items)
        yield step, first, size, e.times(count, w.row)


def _begin(w: Writer, step: ir.Value, items: ir.Value) -> tuple[ir.Value, ir.Value]:
    """First item and size of a batch."""
    e, b = w.e, w.e.b
    first = e.times(step, w.recipe.batch)
    left = b.sub(items, first)
    size = b.select(
        b.icmp_signed("<", left, integer(w.recipe.batch)), left, integer(w.recipe.batch)
    )
    w.vectors = b.sdiv(e.sum(size, LANES - 1), integer(LANES))
    w.written = set()
    return first, size


def _map(value: Value) -> tuple[int, int]:
    """Height and width of an input; a vector is one row of numbers."""
    return value.shape if value.shape else (1, 1)

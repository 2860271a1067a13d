"""A module's whole training epoch, and its forward pass, as two functions of machine code.

One network runs at a time, all its activations in cache; nothing of one network depends on which
others there are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llvmlite import ir

from lib.kernels import conv, layers, steps
from lib.kernels.emit import F32, I64, LANES, POINTER, Emitter, integer
from lib.kernels.graph import Graph, Operation, Value
from lib.kernels.machine import library
from lib.kernels.plan import Plan, plan

RATES = 3  # floats for each step: see `steps.adam`
LOSSES = {"cross_entropy": steps.cross_entropy, "squared_error": steps.squared_error}
EPOCH = ("state", "slots", "inputs", "targets", "order", "shifts", "flips", "rates", "hyper")


@dataclass(frozen=True)
class Recipe:
    """What is compiled beside the network: all that an epoch's code depends on.

    Attributes:
        batch: items of a step.
        loss: `cross_entropy` or `squared_error`.
        optimizer: `sgd`, `adam` or `adamw`.
        betas, eps: of Adam.
        padding: pixels around the images as they lie in memory.
        shifted, flipped: whether the images are cropped and flipped.
    """

    batch: int
    loss: str = "cross_entropy"
    optimizer: str = "sgd"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    padding: int = 0
    shifted: bool = False
    flipped: bool = False

    @property
    def row(self) -> int:
        """Floats of a row of activations: the batch in whole vectors."""
        return -(-self.batch // LANES) * LANES


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
        kernels = _Kernels(module)
        _epoch(_Writer(kernels, graph, offsets, recipe, trained, True), parameters)
        _outputs(_Writer(kernels, graph, offsets, recipe, seen, False))
        found = library(module)
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self.epoch = found.function("epoch", [pointer] * (len(EPOCH) + 2) + [number])
        self.outputs = found.function("outputs", [pointer] * 5 + [number])


class _Kernels:
    """The kernels of a module, each written once for each set of its fixed numbers."""

    def __init__(self, module: ir.Module) -> None:
        self.module, self.found, self.tables = module, {}, {}

    def table(self, e: Emitter, numbers: tuple[int, ...]) -> ir.Value:
        """A constant table of the module."""
        if numbers not in self.tables:
            self.tables[numbers] = e.table(numbers)
        return self.tables[numbers]

    def call(self, caller: Emitter, body: Callable, *values: ir.Value | int, **fixed) -> None:
        """Call the kernel that `body` writes; whole numbers among the values are handed over."""
        values = tuple(map(integer, values))
        key = (body, len(values), tuple(sorted(fixed.items())))
        if key not in self.found:
            name = f"{body.__name__}_{len(self.found)}"
            e = Emitter(self.module, name, [value.type for value in values])
            body(e, *e.function.args, **fixed)
            function = e.finish()
            function.linkage = "internal"
            function.attributes.add("noinline")
            self.found[key] = function
        caller.b.call(self.found[key], values)


class _Writer:
    """Writes the calls of a network's forward and backward pass into a function."""

    def __init__(
        self,
        kernels: _Kernels,
        graph: Graph,
        offsets: Mapping[str, int],
        recipe: Recipe,
        plan: Plan,
        training: bool,
    ) -> None:
        self.kernels, self.graph, self.offsets, self.plan = kernels, graph, offsets, plan
        self.recipe, self.row, self.training = recipe, recipe.row, training
        self.written: set[int] = set()
        convolutions = [op for op in graph.operations if op.kind == "conv"]
        rows, tiles = set(), set()
        for op in convolutions:
            x, y = op.inputs[0], op.output
            rows |= {size for value in (x, y) for _, size in conv.blocks(value.channels, conv.ROWS)}
            tiles |= {
                (outs, ins)
                for _, outs in conv.blocks(y.channels, conv.OUTS)
                for _, ins in conv.blocks(x.channels, conv.INS)
            }
        self.rows, self.tiles = tuple(sorted(rows)), tuple(sorted(tiles))

    def start(self, name: str, pointers: int) -> tuple[Emitter, list[ir.Value], ir.Value]:
        """Begin a function of so many pointers and one number."""
        self.e = Emitter(self.kernels.module, name, [POINTER] * pointers + [I64])
        *found, count = self.e.function.args
        return self.e, found, count

    def call(self, body: Callable, *values: ir.Value | int, **fixed) -> None:
        self.kernels.call(self.e, body, *values, **fixed)

    def forward(self) -> None:
        """All operations in order."""
        for op in self.graph.operations:
            getattr(self, op.kind)(op)

    def backward(self) -> None:
        """All operations that have a gradient, in reverse."""
        for op in reversed(self.graph.operations):
            if op.output in self.plan.grad:
                getattr(self, f"{op.kind}_back")(op)
                # a gradient that shares its place with the output's is there already
                for value in op.inputs:
                    if value in self.plan.grad:
                        self.written.add(id(value))

    def data(self, value: Value) -> ir.Value:
        return self.e.at(self.work, self.plan.data[value])

    def grad(self, value: Value) -> ir.Value:
        return self.e.at(self.work, self.plan.grad[value])

    def adds(self, value: Value) -> bool:
        """Whether a gradient is there already, so that more is added to it."""
        return id(value) in self.written

    def weight(self, op: Operation, name: str) -> ir.Value:
        return self.e.at(self.state, self.offsets[op.weights[name]])

    def slope(self, op: Operation, name: str) -> ir.Value:
        return self.e.at(self.work, self.plan.gradient + self.offsets[op.weights[name]])

    def conv(self, op: Operation) -> None:
        x, y, joined = op.inputs[0], op.output, op.options["taps"]
        bias = self.weight(op, "bias") if "bias" in op.weights else self.table([0] * y.channels)
        steps = (x.channels * joined.count, joined.count)
        self._product(op, x, y, self.data(x), self.data(y), bias, steps, False)

    def conv_back(self, op: Operation) -> None:
        x, y, joined = op.inputs[0], op.output, op.options["taps"]
        if "bias" in op.weights:
            size = (y.channels, y.positions)
            bias = self.slope(op, "bias")
            self.call(layers.bias_back, self.grad(y), bias, self.vectors, *size, row=self.row)
        bands, pairs = conv.bands(joined, self.row)
        cuts = [conv.blocks(y.channels, conv.OUTS), conv.blocks(x.channels, conv.INS)]
        self.call(
            conv.weight_gradient,
            self.data(x),
            self.grad(y),
            self.slope(op, "weight"),
            self.table(pairs),
            *(self.table(sum(cut, ())) for cut in cuts),
            self.vectors,
            bands,
            joined.count,
            *map(len, cuts),
            y.positions,
            x.positions,
            x.channels,
            row=self.row,
            sizes=self.tiles,
        )
        if x in self.plan.grad:
            bias = self.table([0] * x.channels)
            steps = (joined.count, x.channels * joined.count)
            self._product(op, y, x, self.grad(y), self.grad(x), bias, steps, True)

    def _product(
        self, op: Operation, x: Value, y: Value, source, target, bias, steps, back
    ) -> None:
        cut = conv.blocks(y.channels, conv.ROWS)
        self.call(
            conv.product,
            source,
            self.weight(op, "weight"),
            bias,
            target,
            self.table(conv.gathers(op.options["taps"], self.row, back)),
            self.table(sum(cut, ())),
            self.vectors,
            len(cut),
            y.positions,
            x.positions,
            x.channels,
            *steps,
            int(back and self.adds(y)),
            row=self.row,
            sizes=self.rows,
        )

    def table(self, numbers: Sequence[int]) -> ir.Value:
        """A constant table; the same numbers are kept once."""
        return self.kernels.table(self.e, tuple(numbers))

    def norm(self, op: Operation) -> None:
        self.call(
            layers.norm,
            self.data(op.inputs[0]),
            self.weight(op, "weight"),
            self.weight(op, "bias"),
            self.weight(op, "running_mean"),
            self.weight(op, "running_var"),
            self.e.at(self.work, self.plan.saved.get(op, 0)),
            self.e.at(self.work, self.plan.mask),
            self.count,
            self.data(op.output),
            self.vectors,
            *self._channels(op),
            row=self.row,
            eps=op.options["eps"],
            momentum=op.options["momentum"],
            training=self.training,
        )

    def norm_back(self, op: Operation) -> None:
        self.call(
            layers.norm_back,
            self.data(op.inputs[0]),
            self.weight(op, "weight"),
            self.e.at(self.work, self.plan.saved[op]),
            self.e.at(self.work, self.plan.mask),
            self.count,
            self.grad(op.output),
            self.slope(op, "weight"),
            self.slope(op, "bias"),
            self.grad(op.inputs[0]),
            self.vectors,
            *self._channels(op),
            row=self.row,
            add=self.adds(op.inputs[0]),
        )

    def _channels(self, op: Operation) -> tuple[int, int]:
        return op.output.channels, op.output.positions

    def activation(self, op: Operation) -> None:
        x, y = self.data(op.inputs[0]), self.data(op.output)
        self.call(layers.activate, x, y, self.vectors, op.output.cells, **self._act(op))

    def activation_back(self, op: Operation) -> None:
        known = op.inputs[0] if op.options["act"] == "sin" else op.output
        dy, dx = self.grad(op.output), self.grad(op.inputs[0])
        add = self.adds(op.inputs[0])
        values = (self.data(known), dy, dx, self.vectors, op.output.cells)
        self.call(layers.activate_back, *values, add=add, **self._act(op))

    def _act(self, op: Operation) -> dict:
        return {"kind": op.options["act"], "slope": op.options["slope"], "row": self.row}

    def sum(self, op: Operation) -> None:
        a, b, y = (self.data(value) for value in (*op.inputs, op.output))
        self.call(layers.total, a, b, y, self.vectors, op.output.cells, row=self.row)

    def sum_back(self, op: Operation) -> None:
        for value in op.inputs:
            self._pass(op, value, 1.0)

    def flatten(self, op: Operation) -> None:
        if self.plan.data[op.inputs[0]] != self.plan.data[op.output]:
            self._scaled(op, 1.0)

    def flatten_back(self, op: Operation) -> None:
        self._pass(op, op.inputs[0], 1.0)

    def scale(self, op: Operation) -> None:
        self._scaled(op, op.options["factor"])

    def _scaled(self, op: Operation, factor: float) -> None:
        x, y = self.data(op.inputs[0]), self.data(op.output)
        size = op.output.cells
        self.call(layers.scale, x, y, self.vectors, size, factor=factor, row=self.row, add=False)

    def scale_back(self, op: Operation) -> None:
        self._pass(op, op.inputs[0], op.options["factor"])

    def _pass(self, op: Operation, value: Value, factor: float) -> None:
        """Hand the gradient on, unless it lies in the right place as it is."""
        if value not in self.plan.grad:
            return
        same = self.plan.grad[value] == self.plan.grad[op.output]
        if not (same and factor == 1.0):
            self.call(
                layers.scale,
                self.grad(op.output),
                self.grad(value),
                self.vectors,
                op.output.cells,
                factor=factor,
                row=self.row,
                add=self.adds(value),
            )
        self.written.add(id(value))

    def mean(self, op: Operation) -> None:
        self._pool(op, self.data(op.inputs[0]), self.data(op.output), op.options["groups"], False)

    def mean_back(self, op: Operation) -> None:
        x = op.inputs[0]
        groups = [[] for _ in range(x.positions)]
        for p, group in enumerate(op.options["groups"]):
            for q in group:
                groups[q].append(p)
        groups = tuple(map(tuple, groups))
        self._pool(op, self.grad(op.output), self.grad(x), groups, self.adds(x))

    def _pool(self, op: Operation, x, y, groups, add: bool) -> None:
        back = groups != op.options["groups"] or add
        sources = (op.output if back else op.inputs[0]).positions
        self.call(
            layers.mean,
            x,
            y,
            self.vectors,
            groups=groups,
            factor=op.options["factor"],
            channels=op.output.channels,
            sources=sources,
            row=self.row,
            add=add,
        )


def _epoch(w: _Writer, parameters: int) -> None:
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


def _outputs(w: _Writer) -> None:
    """void outputs(state, inputs, order, work, found, n): found is [outputs, n in whole rows]."""
    e, pointers, items = w.start("outputs", 5)
    w.state, inputs, order, w.work, found = pointers
    recipe, b, graph = w.recipe, e.b, w.graph
    batches = b.sdiv(e.sum(items, recipe.batch - 1), integer(recipe.batch))
    w.count = e.alloca(F32)
    width = b.mul(batches, integer(w.row))
    with e.loop(batches) as step:
        first, size = _begin(w, step, items)
        w.call(
            steps.assemble,
            inputs,
            order,
            order,
            order,
            e.at(w.work, w.plan.mask),
            w.data(graph.input),
            first,
            size,
            w.vectors,
            shape=(graph.input.channels, *_map(graph.input)),
            padding=0,
            shifted=False,
            flipped=False,
            row=w.row,
        )
        w.forward()
        with e.loop(graph.output.cells) as k, e.loop(w.vectors) as v:
            value = e.load(w.data(graph.output), e.times(k, w.row), e.times(v, LANES))
            at = e.sum(b.mul(k, width), e.times(step, w.row), e.times(v, LANES))
            e.store(value, found, at)
    e.finish()


def _begin(w: _Writer, step: ir.Value, items: ir.Value) -> tuple[ir.Value, ir.Value]:
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

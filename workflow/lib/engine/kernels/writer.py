"""The calls of a network's forward and backward pass, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llvmlite import ir

from lib.engine.kernels import conv, layers, pools
from lib.engine.kernels.emit import I64, LANES, POINTER, Emitter, integer
from lib.engine.kernels.graph import Graph, Operation, Value
from lib.engine.kernels.plan import FROM_INPUT, Plan


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


class Kernels:
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


class Writer:
    """Writes the calls of a network's forward and backward pass into a function."""

    def __init__(
        self,
        kernels: Kernels,
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
        """Call a kernel."""
        self.kernels.call(self.e, body, *values, **fixed)

    def forward(self) -> None:
        """All operations in order."""
        for op in self.graph.operations:
            getattr(self, f"_{op.kind}")(op)

    def backward(self) -> None:
        """All operations that have a gradient, in reverse."""
        for op in reversed(self.graph.operations):
            if op.output in self.plan.grad:
                getattr(self, f"_{op.kind}_back")(op)
                # a gradient that shares its place with the output's is there already
                for value in op.inputs:
                    if value in self.plan.grad:
                        self.written.add(id(value))

    def data(self, value: Value) -> ir.Value:
        """Where an activation lies."""
        return self.e.at(self.work, self.plan.data[value])

    def grad(self, value: Value) -> ir.Value:
        """Where the gradient of an activation lies."""
        return self.e.at(self.work, self.plan.grad[value])

    def adds(self, value: Value) -> bool:
        """Whether a gradient is there already, so that more is added to it."""
        return id(value) in self.written

    def weight(self, op: Operation, name: str) -> ir.Value:
        """Where a parameter or buffer of an operation lies."""
        return self.e.at(self.state, self.offsets[op.weights[name]])

    def slope(self, op: Operation, name: str) -> ir.Value:
        """Where the gradient of a parameter lies."""
        return self.e.at(self.work, self.plan.gradient + self.offsets[op.weights[name]])

    def _conv(self, op: Operation) -> None:
        x, y, joined = op.inputs[0], op.output, op.options["taps"]
        bias = self.weight(op, "bias") if "bias" in op.weights else self.table([0] * y.channels)
        steps = (x.channels * joined.count, joined.count)
        self._product(op, x, y, self.data(x), self.data(y), bias, steps, False)

    def _conv_back(self, op: Operation) -> None:
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

    def _norm(self, op: Operation) -> None:
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

    def _norm_back(self, op: Operation) -> None:
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

    def _affine(self, op: Operation) -> None:
        weights = (self.weight(op, name) for name in ("weight", "bias"))
        places = (self.data(op.inputs[0]), *weights, self.data(op.output))
        self.call(layers.affine, *places, self.vectors, *self._channels(op), row=self.row)

    def _affine_back(self, op: Operation) -> None:
        x, back = op.inputs[0], op.inputs[0] in self.plan.grad
        self.call(
            layers.affine_back,
            self.data(x),
            self.weight(op, "weight"),
            self.grad(op.output),
            self.slope(op, "weight"),
            self.slope(op, "bias"),
            self.grad(x) if back else self.data(x),
            self.vectors,
            *self._channels(op),
            row=self.row,
            how=("added" if self.adds(x) else "stored") if back else "left out",
        )

    def _channels(self, op: Operation) -> tuple[int, int]:
        return op.output.channels, op.output.positions

    def _activation(self, op: Operation) -> None:
        x, y = self.data(op.inputs[0]), self.data(op.output)
        self.call(layers.activate, x, y, self.vectors, op.output.cells, **self._act(op))

    def _activation_back(self, op: Operation) -> None:
        known = op.inputs[0] if op.options["act"] in FROM_INPUT else op.output
        dy, dx = self.grad(op.output), self.grad(op.inputs[0])
        add = self.adds(op.inputs[0])
        values = (self.data(known), dy, dx, self.vectors, op.output.cells)
        self.call(layers.activate_back, *values, add=add, **self._act(op))

    def _act(self, op: Operation) -> dict:
        return {"kind": op.options["act"], "slope": op.options["slope"], "row": self.row}

    def _sum(self, op: Operation) -> None:
        a, b, y = (self.data(value) for value in (*op.inputs, op.output))
        self.call(layers.total, a, b, y, self.vectors, op.output.cells, row=self.row)

    def _sum_back(self, op: Operation) -> None:
        for value in op.inputs:
            self._pass(op, value, 1.0)

    def _flatten(self, op: Operation) -> None:
        if self.plan.data[op.inputs[0]] != self.plan.data[op.output]:
            self._scaled(op, 1.0)

    def _flatten_back(self, op: Operation) -> None:
        self._pass(op, op.inputs[0], 1.0)

    def _scale(self, op: Operation) -> None:
        self._scaled(op, op.options["factor"])

    def _scaled(self, op: Operation, factor: float) -> None:
        x, y = self.data(op.inputs[0]), self.data(op.output)
        size = op.output.cells
        self.call(layers.scale, x, y, self.vectors, size, factor=factor, row=self.row, add=False)

    def _scale_back(self, op: Operation) -> None:
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

    def _max(self, op: Operation) -> None:
        x, y = self.data(op.inputs[0]), self.data(op.output)
        self.call(pools.maximum, x, y, self.vectors, **self._pool_of(op))

    def _max_back(self, op: Operation) -> None:
        x, y = op.inputs[0], op.output
        values = (self.data(x), self.data(y), self.grad(y), self.grad(x), self.vectors)
        self.call(pools.maximum_back, *values, add=self.adds(x), **self._pool_of(op))

    def _pool_of(self, op: Operation) -> dict:
        x = op.inputs[0]
        fixed = {"groups": op.options["groups"], "channels": x.channels}
        return fixed | {"sources": x.positions, "row": self.row}

    def _mean(self, op: Operation) -> None:
        self._pool(op, self.data(op.inputs[0]), self.data(op.output), op.options["groups"], False)

    def _mean_back(self, op: Operation) -> None:
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
            pools.mean,
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

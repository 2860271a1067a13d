"""Where the buffers of a training step lie: those never needed at once share a place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lib.engine.kernels.emit import LANES
from lib.engine.kernels.graph import Graph, Operation, Value

WEIGHTED = {"conv", "norm", "affine"}
FROM_INPUT = {"sin", "silu", "gelu"}  # activations whose derivative is not known from the output


@dataclass(frozen=True)
class Plan:
    """Offsets, in floats, into one workspace.

    Attributes:
        data: of each activation.
        grad: of the gradient of each activation that has one.
        saved: of what each batch norm keeps for the way back, by operation.
        mask: of the row that says which items of a batch are there.
        gradient: of the gradient of the parameters.
        size: floats of the workspace.
    """

    data: dict[Value, int]
    grad: dict[Value, int]
    saved: dict[Operation, int]
    mask: int
    gradient: int
    size: int


def plan(graph: Graph, row: int, parameters: int, training: bool) -> Plan:
    """Lay out the workspace of a training step, or of a forward pass alone."""
    operations = graph.operations
    last = len(operations)
    users = Counter(value for op in operations for value in op.inputs)
    users[graph.output] += 1
    differentiable: set[Value] = set()
    for op in operations:
        if op.kind == "norm":  # its kernel always writes the gradient of its input
            differentiable.update(op.inputs)
        if op.kind in WEIGHTED or any(value in differentiable for value in op.inputs):
            differentiable.add(op.output)
    data, grad = _Groups(), _Groups()
    kept = {graph.input}  # places whose content is read again later
    for op in operations:
        y = op.output
        for x in op.inputs:
            alone = users[x] == 1
            if alone and _in_place(op) and data.root(x) not in kept and data.root(y) is y:
                data.join(y, x)
            if alone and _in_place(op, back=True) and x in differentiable and grad.root(y) is y:
                grad.join(y, x)
        if op.output in _saved(op):
            kept.add(data.root(y))
    uses: dict[tuple[str, Value], list[int]] = {}
    for time, op in enumerate(operations):
        back = 2 * last - time
        read = [op.output, *op.inputs]
        for value in read:
            uses.setdefault(("data", data.root(value)), []).append(time)
        if not training:
            continue
        for value in _saved(op):
            uses.setdefault(("data", data.root(value)), []).append(back)
        for value in read:
            if value in differentiable and op.output in differentiable:
                uses.setdefault(("grad", grad.root(value)), []).append(back)
    uses.setdefault(("data", data.root(graph.input)), []).append(-1)
    uses.setdefault(("data", data.root(graph.output)), []).append(last)
    if training:
        uses.setdefault(("grad", grad.root(graph.output)), []).append(last)
    spans = {key: (min(times), max(times), key[1].cells * row) for key, times in uses.items()}
    places, size = _place(spans)
    at = {"mask": size, "gradient": size + row}
    size += row + parameters * training
    saved = {}
    for op in operations:
        if op.kind == "norm" and training:
            saved[op], size = size, size + 2 * LANES * op.output.channels
    values = {graph.input, *(op.output for op in operations)}
    return Plan(
        {value: places["data", data.root(value)] for value in values},
        {value: places["grad", grad.root(value)] for value in differentiable if training},
        saved,
        at["mask"],
        at["gradient"],
        size,
    )


def _in_place(op: Operation, back: bool = False) -> bool:
    """Whether the output may take the place of an input (or their gradients the same place)."""
    if op.kind == "activation":
        return op.options["act"] not in FROM_INPUT or back
    return op.kind in ("sum", "scale", "flatten") or (op.kind in ("norm", "affine") and back)


def _saved(op: Operation) -> tuple[Value, ...]:
    """The activations that an operation reads again on its way back."""
    if op.kind == "activation":
        return op.inputs if op.options["act"] in FROM_INPUT else (op.output,)
    if op.kind == "max":
        return (*op.inputs, op.output)
    return op.inputs if op.kind in WEIGHTED else ()


class _Groups:
    """Values that share one buffer."""

    def __init__(self) -> None:
        self.parent: dict[Value, Value] = {}

    def root(self, value: Value) -> Value:
        while value in self.parent:
            value = self.parent[value]
        return value

    def join(self, value: Value, other: Value) -> None:
        if self.root(value) is not self.root(other):
            self.parent[self.root(value)] = self.root(other)


def _place(spans: dict) -> tuple[dict, int]:
    """The lowest free place for each (first use, last use, size), the largest first."""
    places: dict = {}
    for key, (first, last, size) in sorted(spans.items(), key=lambda item: -item[1][2]):
        busy = sorted(
            (places[other], places[other] + spans[other][2])
            for other in places
            if spans[other][0] <= last and first <= spans[other][1]
        )
        at = 0
        for start, end in busy:
            if at + size <= start:
                break
            at = max(at, end)
        places[key] = at
    return places, max((places[key] + spans[key][2] for key in places), default=0)

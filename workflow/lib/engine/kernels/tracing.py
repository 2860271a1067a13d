"""A plain module as a list of operations that the compiler knows, found by torch.fx tracing.

What the compiler does not know is refused by name, never computed in another way.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.modules.dropout import _DropoutNd

from lib.engine.kernels.conv import Taps, taps
from lib.engine.kernels.graph import Graph, Operation, Value, refusal
from lib.nets.fuse import Affine


def trace(module: nn.Module, shape: tuple[int, ...]) -> Graph:
    """The operations of a module for inputs of this shape (without the batch).

    Raises:
        UnsupportedError: naming the operation that there is no kernel for.
    """
    try:
        module = copy.deepcopy(module).to("cpu")
        trains = {name for name, layer in module.named_modules() if layer.training}
        traced = fx.GraphModule(module, _Tracer().trace(module))
    except Exception as error:
        raise refusal(f"{type(module).__name__} cannot be traced ({error})") from error
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        _Shapes(traced.eval()).run(torch.zeros(2, *shape))
    return _Reader(traced, trains).read()


class _Tracer(fx.Tracer):
    """Leaves whole what there is a kernel for."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a layer is one operation."""
        return type(m) is Affine or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    """Runs a traced module and notes at each node the shape and type of what it gives."""

    def run_node(self, n: fx.Node) -> Any:
        """The node's value."""
        value = super().run_node(n)
        if isinstance(value, Tensor):
            n.meta["shape"], n.meta["dtype"] = tuple(value.shape), value.dtype
        return value


class _Reader:
    """Reads a traced module node by node."""

    def __init__(self, traced: fx.GraphModule, trains: set[str]) -> None:
        self.traced, self.modules, self.trains = traced, dict(traced.named_modules()), trains
        self.values: dict[fx.Node, Value] = {}
        self.operations: list[Operation] = []
        self.used: set[str] = set()

    def read(self) -> Graph:
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                if self.values:
                    raise refusal("a module with several inputs")
                self.values[node] = first = _value(node)
            elif node.op == "output":
                last = node.args[0]
                if not isinstance(last, fx.Node):
                    raise refusal("a module with several outputs")
                return Graph(self.operations, first, self.values[last])
            else:
                self.values[node] = self._operation(node)
        raise refusal("a module without an output")

    def _operation(self, node: fx.Node) -> Value:
        if node.op == "call_module":
            layer = self.modules[node.target]
            for kind, reader in MODULES.items():
                if type(layer) is kind:
                    if any(True for _ in layer.parameters()) and node.target in self.used:
                        raise refusal(f"layer {node.target!r}, which runs twice")
                    self.used.add(node.target)
                    return reader(self, node, layer)
            raise refusal(f"layer {node.target!r} ({type(layer).__name__})")
        # A buffer may be called as a method is.
        reader = None if node.op == "get_attr" else FUNCTIONS.get(node.target)
        if reader is None:
            what = "a tensor of its own," if node.op == "get_attr" else node.op
            raise refusal(f"{what} {getattr(node.target, '__name__', node.target)!r}")
        return reader(self, node)

    def add(self, kind: str, inputs: list[Value], output: Value, weights=None, **options) -> Value:
        self.operations.append(Operation(kind, tuple(inputs), output, weights or {}, options))
        return output

    def source(self, node: fx.Node) -> Value:
        if not isinstance(node.args[0], fx.Node):
            raise refusal(f"{node.name!r}, whose input is not an activation")
        return self.values[node.args[0]]


def _value(node: fx.Node) -> Value:
    shape = node.meta.get("shape", ())
    if node.meta.get("dtype") != torch.float32 or len(shape) < 2:
        raise refusal(f"{node.name!r}: its values are not float32 [batch, ...]")
    return Value(shape[1], shape[2:])


def _names(node: fx.Node, layer: nn.Module, *wanted: str) -> dict[str, str]:
    return {name: f"{node.target}.{name}" for name in wanted if getattr(layer, name) is not None}


def _conv(reader: _Reader, node: fx.Node, layer: nn.Conv2d) -> Value:
    if layer.groups != 1:
        raise refusal(f"layer {node.target!r} with {layer.groups} groups")
    if layer.padding_mode != "zeros":
        raise refusal(f"layer {node.target!r} with {layer.padding_mode} padding")
    x = reader.source(node)
    if layer.padding == "same":
        sides = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        (top, bottom), (left, right) = ((side // 2, side - side // 2) for side in sides)
    else:
        pad = (0, 0) if layer.padding == "valid" else layer.padding
        (top, bottom), (left, right) = ((side, side) for side in pad)
    joined = taps(
        x.shape, layer.kernel_size, layer.stride, (top, bottom, left, right), layer.dilation
    )
    weights = _names(node, layer, "weight", "bias")
    return reader.add("conv", [x], _value(node), weights, taps=joined)


def _linear(reader: _Reader, node: fx.Node, layer: nn.Linear) -> Value:
    x = reader.source(node)
    if x.shape:
        raise refusal(f"layer {node.target!r} on maps (flatten first)")
    weights = _names(node, layer, "weight", "bias")
    return reader.add("conv", [x], _value(node), weights, taps=Taps(1, 1, 1, ((0, 0, 0),)))


def _norm(reader: _Reader, node: fx.Node, layer: nn.BatchNorm2d) -> Value:
    if not (layer.affine and layer.track_running_stats) or layer.momentum is None:
        raise refusal(f"layer {node.target!r}: batch norm without weights or running statistics")
    names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    weights = _names(node, layer, *names)
    x = reader.source(node)
    return reader.add("norm", [x], _value(node), weights, eps=layer.eps, momentum=layer.momentum)


def _affine(reader: _Reader, node: fx.Node, layer: Affine) -> Value:
    weights = _names(node, layer, "weight", "bias")
    return reader.add("affine", [reader.source(node)], _value(node), weights)


def _activation(kind: str, slope: Callable[[fx.Node, Any], float] = lambda node, layer: 0.0):
    def read(reader: _Reader, node: fx.Node, layer: Any = None) -> Value:
        if "tanh" in (getattr(layer, "approximate", ""), node.kwargs.get("approximate")):
            raise refusal(f"{node.name!r}: GELU by tanh")
        x, y = reader.source(node), _value(node)
        return reader.add("activation", [x], y, act=kind, slope=float(slope(node, layer)))

    return read


def _slope(node: fx.Node, layer: Any) -> float:
    if layer is not None:
        found = layer.negative_slope
    else:
        found = node.kwargs.get("negative_slope", [*node.args, 0.01][1] if node.args else 0.01)
    if not found > 0:
        raise refusal(f"{node.name!r}: leaky ReLU whose slope is {found}, not above 0")
    return found


def _same(reader: _Reader, node: fx.Node, layer: Any = None) -> Value:
    if isinstance(layer, _DropoutNd) and layer.p > 0 and node.target in reader.trains:
        raise refusal(f"layer {node.target!r} (dropout)")
    return reader.source(node)


def _dropped(reader: _Reader, node: fx.Node) -> Value:
    given = dict(zip(("input", "p", "training"), node.args, strict=False)) | node.kwargs
    if given.get("training", True) and given.get("p", 0.5):
        raise refusal(f"{node.name!r} (dropout)")
    return reader.source(node)


def _flatten(reader: _Reader, node: fx.Node, layer: Any = None) -> Value:
    x, y = reader.source(node), _value(node)
    if y.shape or y.channels != x.cells:
        raise refusal(f"{node.name!r}: only flatten(1) of everything")
    return reader.add("flatten", [x], y)


def _sum(reader: _Reader, node: fx.Node) -> Value:
    if not all(isinstance(arg, fx.Node) for arg in node.args) or node.kwargs:
        raise refusal(f"{node.name!r}: a sum of anything but two activations")
    a, b = (reader.values[arg] for arg in node.args)
    if (a.channels, a.shape) != (b.channels, b.shape):
        raise refusal(f"{node.name!r}: a sum that broadcasts")
    return reader.add("sum", [a, b], _value(node))


def _times(reader: _Reader, node: fx.Node) -> Value:
    nodes = [arg for arg in node.args if isinstance(arg, fx.Node)]
    numbers = [arg for arg in node.args if isinstance(arg, int | float)]
    if len(nodes) != 1 or len(numbers) != 1:
        raise refusal(f"{node.name!r}: a product of anything but an activation and a number")
    return reader.add("scale", [reader.values[nodes[0]]], _value(node), factor=float(numbers[0]))


def _pool(reader: _Reader, node: fx.Node, layer: Any = None) -> Value:
    given = dict(zip(("input", "kernel_size", "stride", "padding"), node.args, strict=False))
    given |= node.kwargs
    if layer is not None:
        names = ("kernel_size", "stride", "padding", "ceil_mode", "divisor_override")
        given = {name: getattr(layer, name) for name in names}
    kernel = _two(given["kernel_size"])
    stride = _two(given.get("stride") or kernel)
    if _two(given.get("padding", 0)) != (0, 0) or given.get("ceil_mode"):
        raise refusal(f"{node.name!r}: pooling with padding")
    if given.get("divisor_override"):
        raise refusal(f"{node.name!r}: pooling with a divisor")
    x, y = reader.source(node), _value(node)
    joined = taps(x.shape, kernel, stride, (0, 0, 0, 0), (1, 1))
    return _mean(reader, x, y, joined)


def _global(reader: _Reader, node: fx.Node, layer: Any = None) -> Value:
    x, y = reader.source(node), _value(node)
    if math.prod(y.shape) != 1 or y.channels != x.channels:
        raise refusal(f"{node.name!r}: only means over the whole map")
    every = Taps(x.positions, x.positions, 1, tuple((q, q, 0) for q in range(x.positions)))
    return _mean(reader, x, y, every)


def _max_pool(reader: _Reader, node: fx.Node, layer: Any = None) -> Value:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = dict(zip(("input", *names), node.args, strict=False)) | node.kwargs
    if layer is not None:
        given = {name: getattr(layer, name) for name in names}
    if given.get("ceil_mode") or given.get("return_indices"):
        raise refusal(f"{node.name!r}: max pooling with ceil_mode or indices")
    kernel, sides = _two(given["kernel_size"]), _two(given.get("padding") or 0)
    stride, dilation = _two(given.get("stride") or kernel), _two(given.get("dilation") or 1)
    x, y = reader.source(node), _value(node)
    padding = (sides[0], sides[0], sides[1], sides[1])
    joined = taps(x.shape, kernel, stride, padding, dilation)
    return reader.add("max", [x], y, groups=_groups(joined))


def _groups(joined: Taps) -> tuple[tuple[int, ...], ...]:
    """The input positions of each output position, in order."""
    found: list[list[int]] = [[] for _ in range(joined.outputs)]
    for _, q, p in joined.triples:
        found[p].append(q)
    return tuple(map(tuple, found))


def _mean(reader: _Reader, x: Value, y: Value, joined: Taps) -> Value:
    return reader.add("mean", [x], y, groups=_groups(joined), factor=1 / joined.count)


def _two(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


MODULES: dict[type, Callable] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.BatchNorm2d: _norm,
    nn.BatchNorm1d: _norm,
    Affine: _affine,
    nn.ReLU: _activation("relu"),
    nn.LeakyReLU: _activation("leaky_relu", _slope),
    nn.Tanh: _activation("tanh"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.Identity: _same,
    nn.Dropout: _same,
    nn.Dropout1d: _same,
    nn.Dropout2d: _same,
    nn.Dropout3d: _same,
    nn.Flatten: _flatten,
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _global,
    nn.MaxPool2d: _max_pool,
    nn.SiLU: _activation("silu"),
    nn.GELU: _activation("gelu"),
}
FUNCTIONS: dict[Any, Callable] = {
    F.relu: _activation("relu"),
    torch.relu: _activation("relu"),
    "relu": _activation("relu"),
    F.leaky_relu: _activation("leaky_relu", _slope),
    torch.tanh: _activation("tanh"),
    F.tanh: _activation("tanh"),
    "tanh": _activation("tanh"),
    torch.sigmoid: _activation("sigmoid"),
    F.sigmoid: _activation("sigmoid"),
    "sigmoid": _activation("sigmoid"),
    torch.sin: _activation("sin", lambda node, layer: 1.0),
    "sin": _activation("sin", lambda node, layer: 1.0),
    torch.flatten: _flatten,
    "flatten": _flatten,
    operator.add: _sum,
    torch.add: _sum,
    operator.mul: _times,
    torch.mul: _times,
    F.dropout: _dropped,
    F.dropout1d: _dropped,
    F.dropout2d: _dropped,
    F.dropout3d: _dropped,
    F.avg_pool2d: _pool,
    F.adaptive_avg_pool2d: _global,
    F.max_pool2d: _max_pool,
    torch.max_pool2d: _max_pool,
    F.silu: _activation("silu"),
    F.gelu: _activation("gelu"),
    torch.mean: _global,
    "mean": _global,
}

"""Batch norm folded into the layer before it, for one network or a whole stack of them.

In eval mode batch norm is an affine map per channel, so the fused network computes the same
function (paper, Sec. III-A): weight * gamma / sqrt(var + eps), and as bias
beta + (bias - mean) * gamma / sqrt(var + eps). Where no convolution or linear layer comes right
before it, that map stays as a layer of its own, `Affine`.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, fx, nn

from lib.core.errors import InputError

NORM_OF = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
    nn.Linear: nn.BatchNorm1d,
}
NORMS = frozenset(NORM_OF.values())
STATISTICS = ("weight", "bias", "running_mean", "running_var")
COUNTER = "num_batches_tracked"
ROUNDING = 2**-8  # of bfloat16, in which a state may have been kept
Pairs = list[tuple[str, str]]


class FuseError(InputError):
    """A module cannot be traced, or a state does not hold what is to be fused."""


class Affine(nn.Module):
    """What batch norm is in eval mode: every channel times a number, plus another."""

    def __init__(self, like: Tensor) -> None:
        """The map that changes nothing, of as many channels as `like` [C] has."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones_like(like))
        self.bias = nn.Parameter(torch.zeros_like(like))

    def forward(self, x: Tensor) -> Tensor:
        """The map of x [B, C, ...]."""
        return (x.transpose(1, -1) * self.weight + self.bias).transpose(1, -1)


def bn_pairs(module: nn.Module) -> Pairs:
    """The (layer, batch norm) names that can be folded together, in order of execution.

    A pair is a batch norm with running statistics whose only input is a convolution or linear
    layer that nothing else reads. Layers that run twice, have two names or share parameters are
    left alone, and so is a layer whose weights are used elsewhere in the module.

    Raises:
        FuseError: the module has batch norm and `torch.fx` cannot trace it.
    """
    if not any(type(layer) in NORMS for layer in module.modules()):
        return []
    module = copy.deepcopy(module).eval()
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:
        raise FuseError(
            f"{type(module).__name__} cannot be traced to fuse its batch norm (its "
            f"forward must not branch on values or shapes): {error}"
        ) from error
    layers, alone = dict(module.named_modules()), _alone(module, graph)
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or len(node.all_input_nodes) != 1:
            continue
        source = node.all_input_nodes[0]
        if source.op != "call_module" or len(source.users) != 1:
            continue
        conv, norm = layers[source.target], layers[node.target]
        if (
            NORM_OF.get(type(conv)) is type(norm)
            and norm.running_var is not None
            and norm.num_features == len(conv.weight)  # else it is not the outputs that it scales
            and {source.target, node.target} <= alone
        ):
            pairs.append((source.target, node.target))
    return pairs


def lone_norms(module: nn.Module, pairs: Pairs) -> list[str]:
    """Names of the batch norms with running statistics that are in none of its `bn_pairs`."""
    paired = {norm for _, norm in pairs}
    aliases = _counts(module.named_modules(remove_duplicate=False))
    return [
        name
        for name, layer in module.named_modules()
        if type(layer) in NORMS
        and layer.running_var is not None
        and name not in {*paired, ""}
        and aliases[id(layer)] == 1
    ]


def fused_skeleton(module: nn.Module) -> nn.Module:
    """A copy without batch norm, which `nn.Identity` or, where nothing takes it up, `Affine` stands
    for; the layers that take it up have a bias.

    Its parameters come per layer as weight, then bias, and they are all of its state: buffers that
    are left are the same in every network. The weights are those of `module` (new biases zero, new
    factors one): load what `fuse_state` returns.
    """
    pairs = bn_pairs(module)
    fused = copy.deepcopy(module)
    for conv_name, norm_name in pairs:
        conv = fused.get_submodule(conv_name)
        if conv.bias is None:
            conv.bias = nn.Parameter(conv.weight.new_zeros(len(conv.weight)))
        _put(fused, norm_name, nn.Identity())
    for name in lone_norms(module, pairs):
        _put(fused, name, Affine(fused.get_submodule(name).running_var))
    for layer in fused.modules():
        layer._non_persistent_buffers_set.update(layer._buffers)
    return fused


def fuse_state(
    state: Mapping[str, Tensor], pairs: Pairs, eps: Mapping[str, float] | nn.Module
) -> dict[str, Tensor]:
    """The state of the fused network(s), to be loaded into `fused_skeleton`.

    Args:
        state: state dict of the unfused module, or a stack of them: convolution weights
            [..., O, I, *kernel], batch norm tensors [..., O] with any leading axes.
        pairs: what `bn_pairs` found in the module.
        eps: the module; or, where it has no other batch norm and no buffers, epsilon of each batch
            norm by name.

    Raises:
        FuseError: naming the tensor that the state lacks, or the buffer in which it is not as the
            module is built.
    """
    module = eps if isinstance(eps, nn.Module) else None
    lone = lone_norms(module, pairs) if module else []
    epsilon = {n: module.get_submodule(n).eps for n in _norms(pairs, lone)} if module else eps
    scales, biases, gone = {}, {}, set()
    for conv, norm in pairs:
        scale, shift = _affine(state, norm, epsilon[norm], conv)
        gone.add(f"{conv}.bias")
        scales[f"{conv}.weight"], biases[f"{conv}.weight"] = scale, (f"{conv}.bias", shift)
        gone.update(f"{norm}.{name}" for name in (*STATISTICS, COUNTER))
    alone = {}
    for norm in lone:
        scale, shift = _affine(state, norm, epsilon[norm])
        alone[f"{norm}.running_mean"] = {f"{norm}.weight": scale, f"{norm}.bias": shift}
        gone.update(f"{norm}.{name}" for name in ("weight", "bias", "running_var", COUNTER))
    buffers = dict(module.named_buffers(remove_duplicate=False)) if module else {}
    fused = {}
    for name, value in state.items():
        if name in alone:
            fused |= alone[name]
        elif name in scales:
            scale = scales[name]
            fused[name] = value * scale.reshape(*scale.shape, *[1] * (value.ndim - scale.ndim))
            key, bias = biases[name]
            fused[key] = bias
        elif name in buffers and name not in gone:
            _check_same(name, value, buffers[name])
        elif name not in gone:
            fused[name] = value
    return fused


def _norms(pairs: Pairs, lone: Iterable[str]) -> list[str]:
    return [*(norm for _, norm in pairs), *lone]


def _affine(
    state: Mapping[str, Tensor], norm: str, epsilon: float, before: str = ""
) -> tuple[Tensor, Tensor]:
    """Factor and summand of each channel, [..., C], with the bias of the layer `before` in it."""
    needed = [f"{before}.weight"] * bool(before)
    for name in (*needed, f"{norm}.running_mean", f"{norm}.running_var"):
        if name not in state:
            raise FuseError(
                f"the state lacks {name}, which is needed to fuse {norm}{before and ' into '}"
                f"{before}; is it of another architecture, or fused already?"
            )
    scale = 1 / torch.sqrt(state[f"{norm}.running_var"] + epsilon)
    if f"{norm}.weight" in state:
        scale = state[f"{norm}.weight"] * scale
    shift = -state[f"{norm}.running_mean"]
    if before and f"{before}.bias" in state:
        shift = state[f"{before}.bias"] + shift
    shift = shift * scale
    return scale, state[f"{norm}.bias"] + shift if f"{norm}.bias" in state else shift


def _check_same(name: str, value: Tensor, built: Tensor) -> None:
    """Refuse a buffer that differs from the one in every network as it is built."""
    built = built.to(value.device)
    if value.shape[value.ndim - built.ndim :] != built.shape:
        raise FuseError(f"{name} has shape {tuple(value.shape)}, expected {tuple(built.shape)}")
    close = torch.isclose(value.double(), built.double(), ROUNDING, 1e-6, equal_nan=True)
    if not close.all():
        raise FuseError(
            f"{name} is a buffer whose values differ from those that the architecture is built "
            "with; a stored network is its parameters alone, so buffers have to be the same in "
            "every network"
        )


def fuse(module: nn.Module) -> nn.Module:
    """The fused network of a trained one, in eval mode; `module` is not changed."""
    fused, state = fused_skeleton(module).eval(), module.state_dict()
    state = fuse_state(state, bn_pairs(module), module)
    with torch.no_grad():
        for name, parameter in fused.named_parameters():
            parameter.copy_(state[name])
    return fused


def bn_statistics(
    state: Mapping[str, Tensor], pairs: Pairs, module: nn.Module | None = None
) -> dict[str, Tensor]:
    """The batch norm tensors that fusing takes away, by name: gamma, beta, mean and variance.

    With the fused weights they give back the unfused ones wherever gamma is not zero. Given the
    module, those of the batch norms that stand alone are among them.
    """
    norms = _norms(pairs, lone_norms(module, pairs) if module else [])
    wanted = [f"{norm}.{name}" for norm in norms for name in STATISTICS]
    return {name: state[name] for name in wanted if name in state}


def _put(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Let `layer` take the place of the one called `name`."""
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, layer)


def _alone(module: nn.Module, graph: fx.Graph) -> set[str]:
    """Names of layers that run once and that nothing else shares or reads."""
    runs = Counter(node.target for node in graph.nodes if node.op == "call_module")
    read = {node.target.rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    aliases = _counts(module.named_modules(remove_duplicate=False))
    sharing = _counts(module.named_parameters(remove_duplicate=False))
    return {
        name
        for name, layer in module.named_modules()
        if runs[name] == 1
        and name not in read
        and aliases[id(layer)] == 1
        and isinstance(getattr(layer, "weight", None), nn.Parameter | None)
        and all(sharing[id(parameter)] == 1 for parameter in layer.parameters())
    }


def _counts(named: Iterable[tuple[str, object]]) -> Counter[int]:
    """How many names each object has, by identity."""
    return Counter(id(thing) for _, thing in named)

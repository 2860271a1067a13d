"""Batch norm folded into the convolution before it, for one network or a whole stack of them.

In eval mode batch norm is an affine map per channel, so the fused network computes the same
function (paper, Sec. III-A): weight * gamma / sqrt(var + eps), and as bias
beta + (bias - mean) * gamma / sqrt(var + eps).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, fx, nn

from lib.core.errors import InputError

NORM_OF = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}
STATISTICS = ("weight", "bias", "running_mean", "running_var")
Pairs = list[tuple[str, str]]


class FuseError(InputError):
    """A module cannot be traced, or a state does not hold what is to be fused."""


def bn_pairs(module: nn.Module) -> Pairs:
    """The (convolution, batch norm) names that can be fused, in order of execution.

    A pair is a batch norm with running statistics whose only input is a convolution that nothing
    else reads. Layers that run twice, have two names or share parameters are left alone, and so
    is a convolution whose weights are used elsewhere in the module.

    Raises:
        FuseError: the module has batch norm and `torch.fx` cannot trace it.
    """
    if not any(type(layer) in NORM_OF.values() for layer in module.modules()):
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
            and {source.target, node.target} <= alone
        ):
            pairs.append((source.target, node.target))
    return pairs


def fused_skeleton(module: nn.Module) -> nn.Module:
    """A copy whose fusable batch norms are `nn.Identity` and whose convolutions there have a bias.

    Its parameters come per layer as weight, then bias. The weights are those of `module` (the new
    biases zero): load what `fuse_state` returns.
    """
    pairs = bn_pairs(module)
    fused = copy.deepcopy(module)
    for conv_name, norm_name in pairs:
        conv = fused.get_submodule(conv_name)
        if conv.bias is None:
            conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
        parent, _, leaf = norm_name.rpartition(".")
        setattr(fused.get_submodule(parent), leaf, nn.Identity())
    return fused


def fuse_state(
    state: Mapping[str, Tensor], pairs: Pairs, eps: Mapping[str, float] | nn.Module
) -> dict[str, Tensor]:
    """The state of the fused network(s), to be loaded into `fused_skeleton`.

    Args:
        state: state dict of the unfused module, or a stack of them: convolution weights
            [..., O, I, *kernel], batch norm tensors [..., O] with any leading axes.
        pairs: what `bn_pairs` found in the module.
        eps: epsilon of each batch norm by name, or the module to take it from.

    Raises:
        FuseError: naming the tensor that the state lacks.
    """
    scales, biases, gone = {}, {}, set()
    for conv, norm in pairs:
        for name in (f"{conv}.weight", f"{norm}.running_mean", f"{norm}.running_var"):
            if name not in state:
                raise FuseError(
                    f"the state lacks {name}, which is needed to fuse {norm} into "
                    f"{conv}; is it of another architecture, or fused already?"
                )
        epsilon = eps.get_submodule(norm).eps if isinstance(eps, nn.Module) else eps[norm]
        scale = 1 / torch.sqrt(state[f"{norm}.running_var"] + epsilon)
        if f"{norm}.weight" in state:
            scale = state[f"{norm}.weight"] * scale
        shift = -state[f"{norm}.running_mean"]
        if f"{conv}.bias" in state:
            shift = state[f"{conv}.bias"] + shift
            gone.add(f"{conv}.bias")
        bias = shift * scale
        if f"{norm}.bias" in state:
            bias = state[f"{norm}.bias"] + bias
        scales[f"{conv}.weight"], biases[f"{conv}.weight"] = scale, (f"{conv}.bias", bias)
        gone.update(f"{norm}.{name}" for name in (*STATISTICS, "num_batches_tracked"))
    fused = {}
    for name, value in state.items():
        if name in scales:
            scale = scales[name]
            fused[name] = value * scale.reshape(*scale.shape, *[1] * (value.ndim - scale.ndim))
            key, bias = biases[name]
            fused[key] = bias
        elif name not in gone:
            fused[name] = value
    return fused


def fuse(module: nn.Module) -> nn.Module:
    """The fused network of a trained one, in eval mode; `module` is not changed."""
    fused = fused_skeleton(module).eval()
    fused.load_state_dict(fuse_state(module.state_dict(), bn_pairs(module), module))
    return fused


def bn_statistics(state: Mapping[str, Tensor], pairs: Pairs) -> dict[str, Tensor]:
    """The batch norm tensors that fusing takes away, by name: gamma, beta, mean and variance.

    With the fused weights they give back the unfused ones wherever gamma is not zero.
    """
    wanted = [f"{norm}.{name}" for _, norm in pairs for name in STATISTICS]
    return {name: state[name] for name in wanted if name in state}


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

"""Statistics of hidden neurons set anew: the repair of a network interpolated between two others.

Halfway between two networks, even with their neurons aligned, pre-activations vary much less than
in either of them. REPAIR (Jordan, Sedghi, Saukh, Entezari and Neyshabur, ICLR 2023) rescales each
hidden neuron so that its mean and standard deviation on training images are those interpolated
between the end points'. For networks with batch norm this is a reset of its statistics; the
networks here have theirs fused, so the factors go into weights and biases right away. Layers are
set one after the other, in one pass: each sees what the repaired ones before it make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lib.core.errors import InputError
from lib.nets.layout import Layout

Moments = dict[str, tuple[Tensor, Tensor]]  # layer -> mean and standard deviation, each [n, c]
EPS = 1e-5


class RepairError(InputError):
    """The neurons of a network cannot be shifted."""


def moments(module: nn.Module, layers: Sequence[str], flat: Tensor, x: Tensor) -> Moments:
    """Mean and standard deviation of what layers make of images [B, C, H, W], before activation.

    Args:
        module: the fused module.
        layers: names of its convolutions or linear layers.
        flat: networks [n, P].
        x: images.
    """
    return _pass(module, layers, flat, x, {})


def mixed(first: Moments, last: Moments, gamma: Tensor) -> Moments:
    """Moments [n, c] between those of two networks, each [1, c], at gamma [n]."""
    return {
        name: tuple(
            (1 - gamma[:, None]) * one + gamma[:, None] * other
            for one, other in zip(first[name], last[name], strict=True)
        )
        for name in first
    }


def repaired(module: nn.Module, flat: Tensor, x: Tensor, wanted: Moments) -> Tensor:
    """Networks [n, P] whose neurons have the moments `wanted` on images [B, C, H, W].

    Raises:
        RepairError: one of the layers has no bias.
    """
    layout = Layout.of(module)
    stack = {name: part.clone() for name, part in layout.unflatten(flat).items()}
    for name in wanted:
        if f"{name}.bias" not in stack:
            raise RepairError(
                f"layer {name} has no bias, so the mean of its neurons cannot be set; networks "
                "are repaired where every hidden layer has one (fused batch norm leaves one)"
            )
    found = _pass(module, list(wanted), flat, x, wanted)
    for name, (mean, spread) in found.items():
        scale, shift = _correction(mean, spread, *wanted[name])
        weight = stack[f"{name}.weight"]
        stack[f"{name}.weight"] = weight * scale.reshape(*scale.shape, *[1] * (weight.ndim - 2))
        stack[f"{name}.bias"] = stack[f"{name}.bias"] * scale + shift
    return layout.flatten(stack)


def _correction(
    mean: Tensor, spread: Tensor, to_mean: Tensor, to_spread: Tensor
) -> tuple[Tensor, Tensor]:
    """Factor and summand that give neurons other moments; all of one shape."""
    scale = to_spread / (spread + EPS)
    return scale, to_mean - mean * scale


@torch.no_grad()
def _pass(
    module: nn.Module,
    layers: Sequence[str],
    flat: Tensor,
    x: Tensor,
    wanted: Mapping[str, tuple[Tensor, Tensor]],
) -> Moments:
    """Moments [n, c] of layers, corrected to `wanted` before anything reads them."""
    stack = Layout.of(module).unflatten(flat)

    def one(state: dict[str, Tensor], to: Mapping[str, tuple[Tensor, Tensor]]) -> Moments:
        found: Moments = {}

        def hook(name: str):
            def see(_layer, _inputs, made: Tensor) -> Tensor:
                axes = [0, *range(2, made.ndim)]
                mean = made.mean(axes)
                spread = (made - mean.reshape(-1, *[1] * (made.ndim - 2))).square().mean(axes)
                found[name] = mean, spread.sqrt()
                if name not in to:
                    return made
                scale, shift = _correction(*found[name], *to[name])
                shape = (-1, *[1] * (made.ndim - 2))
                return made * scale.reshape(shape) + shift.reshape(shape)

            return see

        hooks = [module.get_submodule(n).register_forward_hook(hook(n)) for n in layers]
        try:
            functional_call(module, state, (x,))
        finally:
            for handle in hooks:
                handle.remove()
        return found

    return vmap(one)(stack, dict(wanted))

"""Neurons in another network's order: the permutations that make two networks comparable.

The neurons of a hidden layer can be put in any order without changing what a network computes.
`Chain.align` puts those of a network in the order in which its weights are nearest to another's,
layer by layer in turn until nothing changes (weight matching: Ainsworth, Hayase and Srinivasa,
"Git Re-Basin", ICLR 2023, without its random restarts: the order is fixed and so is the result).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, fx, nn

from lib.prep import Layout

ROUNDS = 20  # most rounds over all layers; a few are enough
# What acts on each channel, or neuron, alone or leaves it where it is.
CHANNELWISE = (nn.Identity, nn.LeakyReLU, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)
CHANNELWISE += (nn.Flatten, nn.Dropout, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)
FUNCTIONS = {"flatten", "relu", torch.flatten, torch.relu, torch.tanh, F.relu, F.leaky_relu, F.gelu}
FUNCTIONS |= {F.silu, F.avg_pool2d, F.max_pool2d, F.adaptive_avg_pool2d}


@dataclass(frozen=True)
class Chain:
    """Layers (convolutions, linear ones) of which each is given what the one before it made.

    weights, biases: places in a flat vector; shapes: [out, in, ...] of each weight. A layer after
    a flattened map is given several neighbouring numbers for each channel.
    """

    weights: tuple[slice, ...]
    biases: tuple[slice | None, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, module: nn.Module) -> Chain | None:
        """The chain that a (fused) module is; None if it is none, such as a residual network."""
        layers = _layers(module)
        if layers is None:
            return None
        places = {
            entry.name: (slice(entry.offset, entry.offset + entry.size), entry.shape)
            for entry in Layout.of(module).entries
        }
        weights = [places.pop(f"{name}.weight") for name in layers]
        biases = [places.pop(f"{name}.bias", (None, ()))[0] for name in layers]
        shapes = [shape for _, shape in weights]
        fits = all(b[1] % a[0] == 0 for a, b in zip(shapes, shapes[1:], strict=False))
        if places or not fits:
            return None
        return cls(tuple(place for place, _ in weights), tuple(biases), tuple(shapes))

    def align(self, flat: Tensor, to: Tensor) -> Tensor:
        """Networks [n, P] with their neurons in the order nearest to that of the network `to` [P].

        Each computes what it did before.
        """
        wanted = self._views(to.cpu().numpy())
        found = flat.cpu().numpy().copy()
        for row in found:
            self._align(self._views(row), wanted)
        return torch.from_numpy(found).to(flat.device)

    def _align(self, own: list[list[np.ndarray]], wanted: list[list[np.ndarray]]) -> None:
        for _ in range(ROUNDS):
            moved = False
            for mine, theirs in zip(own, wanted, strict=True):
                similar = sum(_products(a, b) for a, b in zip(mine, theirs, strict=True))
                order = linear_sum_assignment(similar.T, maximize=True)[1]
                if (order != np.arange(len(order))).any():
                    moved = True
                    for view in mine:
                        view[:] = view[order]
            if not moved:
                return

    def _views(self, flat: np.ndarray) -> list[list[np.ndarray]]:
        """Per hidden layer what belongs to its neurons, as views of [P] with neurons in front.

        They are the weights into each, its bias, and the weights from it into the next layer.
        """
        found = []
        for k, (out, *_) in enumerate(self.shapes[:-1]):
            into = flat[self.weights[k]].reshape(out, -1)
            onwards = flat[self.weights[k + 1]].reshape(self.shapes[k + 1][0], out, -1)
            views = [into, onwards.transpose(1, 0, 2)]
            if self.biases[k] is not None:
                views.append(flat[self.biases[k]].reshape(out, 1))
            found.append(views)
        return found


def _products(views: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Inner products [c, c] of what belongs to each neuron, [c, ...] of two networks."""
    axes = list(range(1, views.ndim))
    return np.tensordot(views, others, (axes, axes))


def _layers(module: nn.Module) -> list[str] | None:
    """Names of the layers of a module that does one thing after another; None for any other."""
    try:
        graph = fx.Tracer().trace(module)
    except Exception:  # a module may hold anything; one that is no graph is no chain
        return None
    modules, names, before = dict(module.named_modules()), [], None
    for node in graph.nodes:
        if node.op in ("placeholder", "output"):
            before = before or node
            continue
        layer = modules.get(node.target) if node.op == "call_module" else None
        if node.all_input_nodes != [before] or len(node.users) != 1:
            return None
        if isinstance(layer, nn.Conv2d | nn.Linear):
            names.append(node.target)
        elif not (isinstance(layer, CHANNELWISE) or node.target in FUNCTIONS):
            return None
        before = node
    return names if len(set(names)) == len(names) else None

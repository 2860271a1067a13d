"""Neurons in another network's order: the permutations that make two networks comparable.

The neurons of a hidden layer can be put in any order without changing what a network computes;
those of layers whose outputs are added, as around a shortcut, share their order.
`Neurons.align` puts those of a network in the order in which its weights are nearest to another's,
group by group in turn until nothing changes (weight matching: Ainsworth, Hayase and Srinivasa,
"Git Re-Basin", ICLR 2023, without its random restarts: the order is fixed and so is the result).
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lib.nets.layout import Entry, Layout

ROUNDS = 20  # most rounds over all groups; a few are enough
# What acts on each channel, or neuron, alone or leaves it where it is.
CHANNELWISE = (nn.Identity, nn.LeakyReLU, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)
CHANNELWISE += (nn.Flatten, nn.Dropout, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)
FUNCTIONS = {"flatten", "relu", torch.flatten, torch.relu, torch.tanh, F.relu, F.leaky_relu, F.gelu}
FUNCTIONS |= {F.silu, F.avg_pool2d, F.max_pool2d, F.adaptive_avg_pool2d}
SUMS = {operator.add, operator.iadd, torch.add, "add"}


@dataclass(frozen=True)
class Group:
    """Neurons of one or more layers that share one order.

    layers: the layers whose outputs they are; into: weights [size, ...] and biases [size] of
    these; onwards: weights [out, size, ...] of the layers that read them (a layer after a flattened
    map reads several neighbouring numbers for each channel).
    """

    size: int
    layers: tuple[str, ...]
    into: tuple[Entry, ...]
    onwards: tuple[Entry, ...]

    def views(self, flat: np.ndarray) -> list[np.ndarray]:
        """What belongs to these neurons, as views of a network [P] with neurons in front."""
        return [
            *(_part(flat, entry).reshape(self.size, -1) for entry in self.into),
            *(
                _part(flat, entry).reshape(entry.shape[0], self.size, -1).transpose(1, 0, 2)
                for entry in self.onwards
            ),
        ]


@dataclass(frozen=True)
class Neurons:
    """The groups of hidden neurons of a network, in order of execution."""

    groups: tuple[Group, ...]

    @classmethod
    def of(cls, module: nn.Module) -> Neurons | None:
        """The hidden neurons of a (fused) module.

        None where it is not known how they may be ordered: layers used twice, grouped convolutions,
        or an operation that may look at several channels at once.
        """
        try:
            graph = fx.Tracer().trace(module)
            return cls(tuple(_Reader(module).read(graph)))
        except Exception:  # a module may hold anything; what cannot be read cannot be ordered
            return None

    @property
    def layers(self) -> list[str]:
        """Names of the layers whose outputs are hidden neurons."""
        return [layer for group in self.groups for layer in group.layers]

    @property
    def chain(self) -> bool:
        """Whether each group is made by one layer and read by one: no shortcuts, no branches."""
        return all(len(g.layers) == 1 and len(g.onwards) == 1 for g in self.groups)

    def align(self, flat: Tensor, to: Tensor) -> Tensor:
        """Networks [n, P] with their neurons in the order nearest to that of the network `to` [P].

        Each computes what it did before.
        """
        wanted = [group.views(to.cpu().numpy()) for group in self.groups]
        found = flat.cpu().numpy().copy()
        for row in found:
            _align([group.views(row) for group in self.groups], wanted)
        return torch.from_numpy(found).to(flat.device)

    def shuffle(self, flat: Tensor, rng: torch.Generator) -> Tensor:
        """Networks [n, P], each with its neurons in an order drawn at random.

        Each computes what it did before.
        """
        found = flat.cpu().numpy().copy()
        for row in found:
            for group in self.groups:
                order = torch.randperm(group.size, generator=rng).numpy()
                for view in group.views(row):
                    view[:] = view[order]
        return torch.from_numpy(found).to(flat.device)


def _align(own: list[list[np.ndarray]], wanted: list[list[np.ndarray]]) -> None:
    # Every job of a cluster reads the rules, which find this module among the embedders'.
    from scipy.optimize import linear_sum_assignment

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


def _products(views: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Inner products [c, c] of what belongs to each neuron, [c, ...] of two networks."""
    axes = list(range(1, views.ndim))
    return np.tensordot(views, others, (axes, axes))


def _part(flat: np.ndarray, entry: Entry) -> np.ndarray:
    return flat[entry.offset : entry.offset + entry.size]


class _Unreadable(Exception):
    """It is not known how neurons may be ordered."""


class _Reader:
    """Follows neurons through a graph: a number for each set of them that shares one order."""

    def __init__(self, module: nn.Module) -> None:
        self.modules = dict(module.named_modules())
        self.entries = {entry.name: entry for entry in Layout.of(module).entries}
        self.same: list[int] = [0]  # parent of each number; 0 stands for what cannot be reordered
        self.layers: dict[str, tuple[int, int]] = {}  # what each layer reads and what it makes

    def read(self, graph: fx.Graph) -> Iterator[Group]:
        order: dict[fx.Node, int] = {}
        for node in graph.nodes:
            inputs = [order[before] for before in node.all_input_nodes]
            if node.op == "placeholder":
                order[node] = 0
            elif node.op == "output":
                for number in inputs:
                    self._join(number, 0)
            else:
                order[node] = self._apply(node, inputs)
        return self._groups()

    def _apply(self, node: fx.Node, inputs: list[int]) -> int:
        layer = self.modules[node.target] if node.op == "call_module" else None
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if node.target in self.layers or getattr(layer, "groups", 1) != 1:
                raise _Unreadable
            self.same.append(len(self.same))
            self.layers[node.target] = inputs[0], self.same[-1]
            return self.same[-1]
        if node.target in SUMS and len(inputs) == len(node.args):
            for number in inputs[1:]:
                self._join(inputs[0], number)
        elif len(inputs) != 1 or not (
            isinstance(layer, CHANNELWISE) or (layer is None and node.target in FUNCTIONS)
        ):
            raise _Unreadable
        return inputs[0]

    def _join(self, one: int, other: int) -> None:
        one, other = self._root(one), self._root(other)
        self.same[max(one, other)] = min(one, other)

    def _root(self, number: int) -> int:
        while self.same[number] != number:
            number = self.same[number]
        return number

    def _groups(self) -> Iterator[Group]:
        into, onwards, layers = defaultdict(list), defaultdict(list), defaultdict(list)
        unread = set(self.entries)
        for name, (reads, makes) in self.layers.items():
            found = [key for key in (f"{name}.weight", f"{name}.bias") if key in self.entries]
            unread -= set(found)
            layers[self._root(makes)].append(name)
            into[self._root(makes)] += [self.entries[key] for key in found]
            onwards[self._root(reads)].append(self.entries[found[0]])
        if unread:
            raise _Unreadable
        for number in sorted(set(into) - {0}):
            size = into[number][0].shape[0]
            if any(entry.shape[1] % size for entry in onwards[number]):
                raise _Unreadable
            yield Group(size, tuple(layers[number]), tuple(into[number]), tuple(onwards[number]))

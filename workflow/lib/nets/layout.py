"""Networks as vectors and as pictures: parameter layouts, flattening, and the paper's PRep.

The order of parameters is that of the fused module: per layer weight, then bias (paper, Sec. III).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lib.core.errors import InputError

KINDS = {nn.Conv2d: "conv", nn.Linear: "linear"}


class LayoutError(InputError):
    """Parameters do not fit the layout they are to be read with."""


@dataclass(frozen=True)
class Entry:
    """One parameter: its state name, shape, kind of layer and place in the flat vector."""

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """Where every parameter of an architecture lies in its flat vector of P values."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        """The layout of a (fused) module: its parameters in order."""
        kinds = {
            name: KINDS.get(type(layer), type(layer).__name__.lower())
            for name, layer in module.named_modules()
        }
        entries, offset = [], 0
        for name, parameter in module.named_parameters():
            kind = kinds[name.rpartition(".")[0]]
            entries.append(Entry(name, tuple(parameter.shape), kind, offset))
            offset += parameter.numel()
        return cls(tuple(entries))

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum(entry.size for entry in self.entries)

    def flatten(self, state: Mapping[str, Tensor]) -> Tensor:
        """State dict or stack, entries [..., *shape], as flat vectors [..., P].

        Raises:
            LayoutError: naming what is missing, too much or of another shape.
        """
        names = [entry.name for entry in self.entries]
        if set(state) != set(names):
            missing, extra = sorted(set(names) - set(state)), sorted(set(state) - set(names))
            raise LayoutError(f"parameters do not fit: missing {missing}, unknown {extra}")
        parts, first = [], self.entries[0]
        leading = state[first.name].shape[: state[first.name].ndim - len(first.shape)]
        for entry in self.entries:
            shape, expected = tuple(state[entry.name].shape), (*leading, *entry.shape)
            if shape != expected:
                raise LayoutError(f"{entry.name} has shape {shape}, expected {expected}")
            parts.append(state[entry.name].reshape(*leading, entry.size))
        return torch.cat(parts, -1)

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Flat vectors [..., P] as a state dict or stack (views)."""
        if flat.shape[-1] != self.size:
            raise LayoutError(f"{flat.shape[-1]} values, the layout has {self.size}")
        return {
            entry.name: flat[..., entry.offset : entry.offset + entry.size].reshape(
                (*flat.shape[:-1], *entry.shape)
            )
            for entry in self.entries
        }

    def to_json(self) -> list[dict[str, Any]]:
        """The layout as plain data."""
        return [
            {
                "name": e.name,
                "shape": list(e.shape),
                "kind": e.kind,
                "offset": e.offset,
                "size": e.size,
            }
            for e in self.entries
        ]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> Layout:
        """A layout from plain data."""
        return cls(tuple(Entry(e["name"], tuple(e["shape"]), e["kind"], e["offset"]) for e in data))


def to_prep(flat: Tensor, height: int, width: int) -> Tensor:
    """The PRep of networks (paper, Sec. III-A): [..., P] row by row as [..., height, width].

    The end is filled with zeros.
    """
    room = height * width - flat.shape[-1]
    if room < 0:
        raise LayoutError(f"{flat.shape[-1]} parameters do not fit a {height}x{width} PRep")
    return nn.functional.pad(flat, (0, room)).reshape(*flat.shape[:-1], height, width)


def from_prep(prep: Tensor, size: int) -> Tensor:
    """The first `size` values of PReps [..., height, width]: [..., size]."""
    height, width = prep.shape[-2:]
    if size > height * width:
        raise LayoutError(f"a {height}x{width} PRep holds {height * width} values, not {size}")
    return prep.flatten(-2)[..., :size]

"""What the compiler knows of a network: its operations, in order, and their activations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lib.core.errors import InputError


class UnsupportedError(InputError):
    """The module holds an operation that the compiled kernels do not have."""


@dataclass(frozen=True, eq=False)
class Value:
    """An activation of `channels` x `positions` numbers for each item of a batch."""

    channels: int
    shape: tuple[int, ...]

    @property
    def positions(self) -> int:
        """Places of the map; 1 for a vector."""
        return math.prod(self.shape)

    @property
    def cells(self) -> int:
        """Numbers for each item."""
        return self.channels * self.positions


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: `kind` names its kernel, `weights` the parameters it reads."""

    kind: str
    inputs: tuple[Value, ...]
    output: Value
    weights: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A traced module: its operations in order, what goes in and what comes out."""

    operations: list[Operation]
    input: Value
    output: Value


def refusal(what: str) -> UnsupportedError:
    """The error that refuses a module."""
    return UnsupportedError(
        f"the compiled kernels do not know {what}: set engine.kernels to vmap, and register the "
        "architecture with compiled=False"
    )

"""Named random streams: what a stream yields depends on its names alone.

Never on how many streams were asked for before it, on the order of jobs, or on the machine.
"""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, init=False)
class Stream:
    """A random stream, called by its names: text and whole numbers, the general ones first.

    `Stream("zoo", 0).of("ResNet8", 3)` is `Stream("zoo", 0, "ResNet8", 3)`.
    """

    names: tuple[str | int, ...]

    def __init__(self, *names: str | int) -> None:
        """Name it.

        Raises:
            TypeError: a name is neither text nor an integer.
        """
        kept = (str(n) if isinstance(n, str) else int(operator.index(n)) for n in names)
        object.__setattr__(self, "names", tuple(kept))

    def of(self, *names: str | int) -> Stream:
        """The stream of these names below this one."""
        return Stream(*self.names, *names)

    @property
    def seed(self) -> int:
        """63 bits of a SHA-256 over the names; numpy's texts and integers count as Python's."""
        text = "\x1f".join(f"{type(name).__name__}:{name}" for name in self.names)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def torch(self) -> torch.Generator:
        """A fresh generator of torch's, on the CPU."""
        import torch

        return torch.Generator().manual_seed(self.seed)

    def numpy(self) -> np.random.Generator:
        """A fresh generator of numpy's."""
        return np.random.default_rng(self.seed)

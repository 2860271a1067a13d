"""SIREN: linear layers with sines between them, points to signed distances (paper, Sec. IV).

Sitzmann et al. 2020, "Implicit Neural Representations with Periodic Activation Functions",
arXiv 2006.09661, Sec. 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lib.nets import field


class Siren(nn.Module):
    """Points [B, 3] to signed distances [B, 1]."""

    def __init__(self, widths: Sequence[int], omega: float) -> None:
        """Build hidden layers of these widths, initialised as its authors do.

        Args:
            widths: of the hidden layers, at least one.
            omega: what the argument of every sine is multiplied by.
        """
        super().__init__()
        sizes = [3, *widths, 1]
        self.layers = nn.ModuleList(nn.Linear(given, out) for given, out in pairwise(sizes))
        self.omega = float(omega)
        for k, layer in enumerate(self.layers):
            bound = 1 / 3 if k == 0 else math.sqrt(6 / layer.in_features) / omega
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Distances at points."""
        for layer in self.layers[:-1]:
            x = torch.sin(self.omega * layer(x))
        return self.layers[-1](x)


@field("SIREN")
def siren(widths: Sequence[int], omega: float) -> nn.Module:
    """The field of a shape; the paper's has widths 256, 256 and omega 30 (67,073 parameters)."""
    return Siren(widths, omega)

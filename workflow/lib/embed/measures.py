"""What arms take from the training set before they are trained: probes, and spreads of layers."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.nets.layout import Layout

LEAST = 1e-6  # a layer of which all values are the same has this spread


def choose_probes(x: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """`count` different rows of x [m, ...] drawn at random; in turn where there are fewer."""
    chosen = torch.randperm(len(x), generator=rng)[:count]
    return x[chosen.repeat(-(-count // len(chosen)))[:count]]


def layer_spread(flat: Tensor, layout: Layout, correction: int = 1) -> Tensor:
    """For each parameter [P] the standard deviation of its weight or bias over networks [n, P].

    `correction` as for `torch.std`; 0 lets one network do.
    """
    spread = torch.empty_like(flat[0])
    for entry in layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        spread[place] = flat[:, place].std(correction=correction).clamp_min(LEAST)
    return spread

"""Shapes stretched and squeezed at random: more individuals from the same training shapes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

KNOTS = 8
REACH = 1.3  # the knots lie in [-REACH, REACH]; beyond them the last piece goes on
OVERALL = 0.4  # share of the strength that stretches a whole axis
SHIFT = 0.17  # share of the strength that moves the shape


@dataclass(frozen=True)
class Warps:
    """A map of space onto itself for each of n shapes, its axes apart: piecewise linear, rising.

    Attributes:
        before, after: places of the knots along each axis, [n, 3, KNOTS].
    """

    before: Tensor
    after: Tensor

    @classmethod
    def draw(cls, count: int, strength: float, rng: torch.Generator) -> Warps:
        """Random warps, each of a strength between none and `strength`.

        That is the standard deviation of the logarithm of the factor by which a piece grows.
        """
        before = torch.linspace(-REACH, REACH, KNOTS).expand(count, 3, KNOTS)
        each = strength * torch.rand(count, 1, 1, generator=rng)
        pieces = torch.exp(each * torch.randn(count, 3, KNOTS - 1, generator=rng))
        ends = torch.cat([torch.zeros(count, 3, 1), pieces.cumsum(-1)], -1)
        whole = torch.exp(OVERALL * each * torch.randn(count, 3, 1, generator=rng))
        moved = SHIFT * each * torch.randn(count, 3, 1, generator=rng)
        after = (ends / ends[..., -1:] - 0.5) * 2 * REACH * whole + moved
        return cls(before.contiguous(), after)

    def forward(self, points: Tensor) -> Tensor:
        """Where points [n, B, 3] of the shapes come to lie."""
        return _interpolate(points, self.before, self.after)

    def back(self, points: Tensor) -> Tensor:
        """Where points [n, B, 3] came from."""
        return _interpolate(points, self.after, self.before)


def _interpolate(points: Tensor, given: Tensor, wanted: Tensor) -> Tensor:
    """Points [n, B, 3], each axis by the lines from knots `given` to `wanted` [n, 3, KNOTS]."""
    x = points.transpose(1, 2).contiguous()
    right = torch.searchsorted(given, x).clamp(1, KNOTS - 1)
    (a, b), (c, d) = (
        (knots.gather(2, right - 1), knots.gather(2, right)) for knots in (given, wanted)
    )
    return (c + (x - a) * (d - c) / (b - a)).transpose(1, 2)

"""What lies between latents: places and mixtures."""

from __future__ import annotations

from torch import Tensor


def between(architectures: int) -> list[float]:
    """Where the inner architectures lie between the two extremes: 1/3 and 2/3 for four of them."""
    return [k / (architectures - 1) for k in range(1, architectures - 1)]


def mix(first: Tensor, last: Tensor, gamma: Tensor | float) -> Tensor:
    """The latents (1 - gamma) first + gamma last, between two others (paper, Sec. III-D)."""
    return (1 - gamma) * first + gamma * last

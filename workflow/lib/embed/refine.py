"""Refine latents: move them by gradient descent so that what is decoded fits better."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from lib.core.streams import Stream
from lib.embed.arm import Arm
from lib.engine.descent import descend

Run = Callable[[Tensor], Tensor]  # images [B, C, H, W] to logits [n, B, K] of n networks


def refine(
    arm: Arm,
    architecture: str,
    latents: Tensor,
    loss: Callable[[Run, torch.Generator], Tensor],
    *,
    stream: Stream,
    steps: int,
    rate: float,
    every: int = 0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Latents [n, D] after some steps of Adam, the decoder frozen; the rate falls to zero.

    Args:
        arm: the embedder.
        architecture: what the latents are decoded as.
        latents: where to start.
        loss: from a function that runs the decoded networks on images and a generator to their
            losses [n].
        stream: each step draws from a stream of its own below it.
        steps: gradient steps.
        rate: learning rate at the start.
        every: call `watch(step, latents)` every so many steps.
        watch: sees the latents while they move, and at the end.
    """
    return descend(
        latents,
        lambda moved, rng: loss(lambda x: arm.run(architecture, moved, x), rng),
        stream=stream,
        steps=steps,
        rate=rate,
        what="refining",
        schedule=lambda optimizer: CosineAnnealingLR(optimizer, steps),
        every=every,
        watch=watch,
    )

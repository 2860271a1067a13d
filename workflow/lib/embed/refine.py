"""Refine latents: move them by gradient descent so that what is decoded fits better."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lib.embed.arm import Arm
from lib.progress import track
from lib.repro import generator

Run = Callable[[Tensor], Tensor]  # images [B, C, H, W] to logits [n, B, K] of n networks


def refine(
    arm: Arm,
    architecture: str,
    latents: Tensor,
    names: tuple,
    steps: int,
    rate: float,
    loss: Callable[[Run, torch.Generator], Tensor],
    every: int = 0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Latents [n, D] after some steps of Adam, the decoder frozen; the rate falls to zero.

    Args:
        arm: the embedder.
        architecture: what the latents are decoded as.
        latents: where to start.
        names: names of the random streams; each step draws from one of its own.
        steps: gradient steps.
        rate: learning rate at the start.
        loss: from a function that runs the decoded networks on images and a generator to their
            losses [n].
        every: call `watch(step, latents)` every so many steps.
        watch: sees the latents while they move, and at the end.
    """
    moved = latents.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([moved], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in track(range(steps), "refining"):
        if watch and every and step % every == 0:
            watch(step, moved.detach())
        optimizer.zero_grad()
        found = loss(lambda x: arm.run(architecture, moved, x), generator(*names, "step", step))
        found.sum().backward()
        optimizer.step()
        schedule.step()
    if watch:
        watch(steps, moved.detach())
    return moved.detach()

"""Latents as networks: decoded, and run, as the architecture that is predicted for them."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.embed.arm import Arm


@torch.no_grad()
def predicted(arm: Arm, latents: Tensor) -> list[str]:
    """The architecture that each latent [n, D] stands for."""
    names = list(arm.families)
    return [names[k] for k in arm.classify(latents).argmax(-1).tolist()]


@torch.no_grad()
def run_predicted(arm: Arm, latents: Tensor, x: Tensor) -> tuple[list[str], Tensor]:
    """Latents [n, D] as their user would get them: decoded as the architecture predicted for each.

    Returns:
        Names of these architectures, and logits [n, images, K] on images x [images, C, H, W].
    """
    names = predicted(arm, latents)
    outputs = torch.empty(len(latents), len(x), arm.classes, device=x.device)
    for name in dict.fromkeys(names):
        these = torch.tensor([other == name for other in names], device=latents.device)
        flat = arm.decode(name, latents[these])
        outputs[these] = arm.families[name].predict(flat, x)
    return names, outputs

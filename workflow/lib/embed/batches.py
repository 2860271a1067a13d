"""The images of a training step: half of them as they are, half with noise."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.config import Embedding
from lib.data.images import ImageSplit


def noisy_images(images: ImageSplit, cfg: Embedding, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch [B, C, H, W] of images, noisy after the first `cfg.clean`, and their numbers [B]."""
    chosen = torch.randint(len(images.y), (cfg.batch_size,), generator=rng).to(images.x.device)
    x, clean = images.x[chosen], cfg.clean
    level = cfg.image_noise * torch.rand(len(x) - clean, 1, 1, 1, generator=rng)
    noise = level * torch.randn(x[clean:].shape, generator=rng)
    return torch.cat([x[:clean], x[clean:] + noise.to(x.device)]), chosen

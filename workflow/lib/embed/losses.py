"""Losses between networks' outputs (paper, Sec. III-C), and between their weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config import Embedding
from lib.nets.layout import Layout


def distillation(outputs: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T^2 KL(targets || outputs) at temperature T, averaged over images: [n].

    `outputs` are logits [n, B, K]; `targets` logits [n, B, K] or [B, K].
    """
    wanted = F.log_softmax(targets / temperature, -1)
    given = F.log_softmax(outputs / temperature, -1)
    return temperature**2 * (wanted.exp() * (wanted - given)).sum(-1).mean(-1)


def own_loss(outputs: Tensor, targets: Tensor, cfg: Embedding) -> Tensor:
    """Distillation loss [n] of logits [n, B, K] from those of the very networks they stand for.

    With `temperature_unit: spread` it does not change when a network's logits, and those of what
    was decoded from it, are all multiplied by the same number: networks from chance to the best,
    whose logits range as widely, then all weigh the same.
    """
    if cfg.temperature_unit == "spread":
        spread = spread_of(targets)
        outputs, targets = outputs / spread, targets / spread
    return distillation(outputs, targets, cfg.temperature)


def spread_of(outputs: Tensor) -> Tensor:
    """Root mean square [n, 1, 1] of logits [n, B, K] around their mean over classes."""
    centred = outputs - outputs.mean(-1, keepdim=True)
    return centred.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(1e-6)


def labels(outputs: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of logits [n, B, K] to labels [B], averaged over images: [n]."""
    count, batch, classes = outputs.shape
    losses = F.cross_entropy(
        outputs.reshape(-1, classes), y.expand(count, batch).reshape(-1), reduction="none"
    )
    return losses.view(count, batch).mean(1)


def structure(decoded: Tensor, flat: Tensor, layout: Layout) -> Tensor:
    """Squared difference of networks [n, P], relative to the square of `flat`: [n].

    It is taken for each weight and bias of the layout and averaged over them.
    """
    parts = [slice(entry.offset, entry.offset + entry.size) for entry in layout.entries]
    relative = [
        (decoded[:, part] - flat[:, part]).square().sum(1)
        / flat[:, part].square().sum(1).clamp_min(1e-12)
        for part in parts
    ]
    return torch.stack(relative).mean(0)

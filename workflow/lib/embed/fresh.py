"""Freshly initialised networks, fused: all that an embedder may know of an architecture unseen."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lib import nets
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.nets.fuse import NORM_OF, bn_pairs, fuse_state, fused_skeleton
from lib.nets.layout import Layout

BATCH = 512  # images that batch norm takes its statistics from


def fresh_networks(
    architecture: str, images: ImageSplit, count: int, stream: Stream, calibrated: bool = False
) -> Tensor:
    """Networks [count, P] of an architecture that nobody has trained, with batch norm fused.

    Args:
        architecture: a registered one.
        images: of the kind the networks are for.
        count: how many.
        stream: network i is initialised from `stream.of("init", i)`.
        calibrated: batch norm takes its mean and variance from some of the images before it is
            fused, as a first forward pass would give it, instead of 0 and 1. No gradient is taken
            and no label read; it makes the scale of every layer fit.
    """
    channels, size = images.x.shape[1:3]

    def build() -> nn.Module:
        return nets.build(architecture, channels, size, len(images.classes))

    module = build()
    pairs, layout = bn_pairs(module), Layout.of(fused_skeleton(module))
    chosen = torch.randperm(len(images.x), generator=stream.of("images").torch())[:BATCH]
    states = []
    for i in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream.of("init", i).seed)
            one = build()
        if calibrated:
            _calibrate(one, images.x[chosen.to(images.x.device)])
        states.append(copy.deepcopy(one.state_dict()))
    fused = fuse_state(ensemble.stack_states(states), pairs, module)
    return layout.flatten(fused).to(images.x.device)


@torch.no_grad()
def _calibrate(module: nn.Module, x: Tensor) -> None:
    for layer in module.modules():
        if isinstance(layer, tuple(NORM_OF.values())):
            layer.momentum = 1.0  # the statistics of this one batch
    device = next(module.parameters()).device
    module.train()(x.to(device))
    module.eval()

"""From trained networks to stored ones: their names, shards and splits; fusing and storing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from lib.config import Instances
from lib.data.images import ImageSplit
from lib.engine.training.loop import TrainedStack
from lib.engine.training.shard import build
from lib.nets.fuse import bn_pairs, bn_statistics, fuse_state, fused_skeleton
from lib.nets.layout import Layout
from lib.zoo.store import Shard


def network_name(architecture: str, instance: int, checkpoint_epoch: int = -1) -> str:
    """What a network is called everywhere: `ResNet8-0012`; `ResNet8-0012-e0005` as a snapshot."""
    suffix = "" if checkpoint_epoch < 0 else f"-e{checkpoint_epoch:04d}"
    return f"{architecture}-{instance:04d}{suffix}"


def shard_ranges(total: int, shard_size: int) -> list[range]:
    """The instances of each shard."""
    return [range(at, min(at + shard_size, total)) for at in range(0, total, shard_size)]


def split_of(instance: int, instances: Instances) -> str:
    """Split of an instance: test first, so that a zoo grows at its training end."""
    if instance < instances.test:
        return "test"
    return "validation" if instance < instances.test + instances.validation else "train"


def skeleton(architecture: str, images: ImageSplit) -> nn.Module:
    """The fused module (eval mode) that runs stored or decoded weights of an architecture."""
    return fused_skeleton(build(architecture, images)).eval()


def extract(
    architecture: str,
    trained: TrainedStack,
    instances: Instances,
    images: ImageSplit,
    provenance: Mapping[str, Any],
) -> Shard:
    """Fuse the batch norm of a trained shard and lay its networks out as rows of one matrix.

    Snapshots are rows of their own, named and split by their instance.
    """
    module = build(architecture, images)
    pairs, layout = bn_pairs(module), Layout.of(fused_skeleton(module))
    fused = fuse_state(trained.stack, pairs, module)
    weights = layout.flatten(fused)
    frame = pd.DataFrame(trained.columns)
    rows = zip(frame["instance"], frame["checkpoint_epoch"], strict=True)
    frame.insert(0, "network", [network_name(architecture, *row) for row in rows])
    frame.insert(1, "architecture", architecture)
    frame.insert(3, "split", [split_of(i, instances) for i in frame["instance"]])
    statistics = bn_statistics(trained.stack, pairs, module)
    raw = {k: v.numpy().astype(np.float32) for k, v in statistics.items()}
    return Shard(
        architecture,
        layout.to_json(),
        weights.numpy(),
        frame,
        raw,
        dict(provenance) | trained.engine,
        {
            "channels": images.x.shape[1],
            "size": images.x.shape[2],
            "classes": len(images.classes),
        },
    )

"""From a config to stored networks: train a shard, keep it raw, fuse and extract it, load one."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lib import ensemble, nets, training
from lib.config import Instances, Training
from lib.data.images import ImageSplit
from lib.nets.fuse import bn_pairs, bn_statistics, fuse_state, fused_skeleton
from lib.prep import Layout
from lib.repro import atomic
from lib.store import Catalogue, Shard


def network_name(architecture: str, instance: int) -> str:
    """What a network is called everywhere: `ResNet8-0012`."""
    return f"{architecture}-{instance:04d}"


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
    return fused_skeleton(_build(architecture, images)).eval()


def _build(architecture: str, images: ImageSplit) -> nn.Module:
    channels, size = images.x.shape[1:3]
    return nets.build(architecture, channels, size, len(images.classes))


def train_shard(
    architecture: str,
    instances: range,
    cfg: Training,
    width: int,
    seed: int,
    images: ImageSplit,
    validation: ImageSplit,
) -> training.TrainedStack:
    """Train the instances of one shard, `width` at a time.

    Each depends on (seed, architecture, its number) alone.
    """
    names = [("zoo", seed, architecture, instance) for instance in instances]
    trained = training.train(
        lambda: _build(architecture, images), names, cfg, images, validation, width
    )
    trained.columns["instance"] = list(instances)
    return trained


def save_raw(trained: training.TrainedStack, tensors: str | Path, table: str | Path) -> None:
    """Keep a trained shard as it is: stacked states (safetensors) and their columns (CSV)."""
    with atomic(tensors) as temporary:
        save_file({k: v.cpu().contiguous() for k, v in trained.stack.items()}, temporary)
    with atomic(table) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(trained.columns)
        writer.writerows(zip(*trained.columns.values(), strict=True))


def load_raw(tensors: str | Path, table: str | Path) -> training.TrainedStack:
    """What `save_raw` kept."""
    with safe_open(tensors, "pt") as file:
        stack = {name: file.get_tensor(name) for name in file.keys()}
    frame = pd.read_csv(table)
    return training.TrainedStack(stack, frame.to_dict("list"))


def extract(
    architecture: str,
    trained: training.TrainedStack,
    instances: Instances,
    images: ImageSplit,
    provenance: Mapping[str, Any],
) -> Shard:
    """Fuse the batch norm of a trained shard and lay its networks out as rows of one matrix."""
    module = _build(architecture, images)
    pairs, layout = bn_pairs(module), Layout.of(fused_skeleton(module))
    fused = fuse_state(trained.stack, pairs, module)
    weights = layout.flatten(fused)
    frame = pd.DataFrame(trained.columns)
    frame.insert(0, "network", [network_name(architecture, i) for i in frame["instance"]])
    frame.insert(1, "architecture", architecture)
    frame.insert(3, "split", [split_of(i, instances) for i in frame["instance"]])
    raw = {k: v.numpy().astype(np.float32) for k, v in bn_statistics(trained.stack, pairs).items()}
    return Shard(architecture, layout.to_json(), weights.numpy(), frame, raw, dict(provenance))


def load_stack(catalogue: Catalogue, frame: pd.DataFrame) -> ensemble.Stack:
    """The networks of `frame` (one architecture, in its order) as a stack."""
    weights = torch.from_numpy(catalogue.weights(frame))
    return Layout.from_json(catalogue.layout(frame["architecture"].iloc[0])).unflatten(weights)


def outputs(
    catalogue: Catalogue,
    images: ImageSplit,
    splits: tuple[str, ...],
    architectures: tuple[str, ...],
) -> dict[str, tuple[pd.DataFrame, Tensor]]:
    """Logits of every network of some splits on images.

    Returns:
        By architecture, the catalogue rows and the logits [n, images, classes].
    """
    found = {}
    for architecture in architectures:
        frame = catalogue.select(architecture, splits)
        stack = load_stack(catalogue, frame)
        found[architecture] = (
            frame,
            ensemble.predict(skeleton(architecture, images), stack, images.x),
        )
    return found

"""The networks of one shard: trained together, kept as they were trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
from safetensors import safe_open
from torch import nn

from lib import nets
from lib.config import Training
from lib.core.atomic import atomic
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.streams import Stream
from lib.core.tensors import save_file
from lib.data.images import ImageSplit
from lib.engine.training.backend import Engine
from lib.engine.training.loop import TrainedStack, train
from lib.engine.training.memory import ZOO


def build(architecture: str, images: ImageSplit) -> nn.Module:
    """A freshly initialised network of an architecture, as it is trained, for these images."""
    channels, size = images.x.shape[1:3]
    return nets.build(architecture, channels, size, len(images.classes))


def train_shard(
    architecture: str,
    instances: range,
    cfg: Training,
    stream: Stream,
    images: ImageSplit,
    validation: ImageSplit,
    *,
    engine: Engine,
    checkpoint: Checkpoint = NOWHERE,
    where: str = ZOO,
) -> TrainedStack:
    """Train the instances of one shard; each draws from `stream.of(its number)` alone.

    `checkpoint`, `where`: see `loop.train`.

    Raises:
        MemoryPlanError: they do not fit into `engine.max_memory`.
    """
    trained = train(
        lambda: build(architecture, images),
        [stream.of(instance) for instance in instances],
        cfg,
        images,
        validation,
        engine=engine,
        checkpoint=checkpoint,
        where=where,
    )
    trained.columns["instance"] = [instances[i] for i in trained.columns["instance"]]
    return trained


def save_raw(trained: TrainedStack, tensors: str | Path, table: str | Path) -> None:
    """Keep a trained shard as it is: stacked states (safetensors) and their columns (CSV)."""
    states = {k: v.cpu().contiguous() for k, v in trained.stack.items()}
    # One entry: safetensors writes several in any order, and the same networks are the same bytes.
    with atomic(tensors) as temporary:
        save_file(states, temporary, {"engine": json.dumps(trained.engine)})
    with atomic(table) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(trained.columns)
        writer.writerows(zip(*trained.columns.values(), strict=True))


def load_raw(tensors: str | Path, table: str | Path) -> TrainedStack:
    """What `save_raw` kept."""
    with safe_open(tensors, "pt") as file:
        stack = {name: file.get_tensor(name) for name in file.keys()}
        engine = json.loads(file.metadata()["engine"])
    return TrainedStack(stack, pd.read_csv(table).to_dict("list"), engine)

"""The training loop: groups of instances, one after the other, as many at once as fit.

Every instance has its own hyperparameters, initialisation, data order and augmentation, all drawn
from streams named after it, so its result does not depend on which instances share its job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from lib.config import Training
from lib.core.checkpoint import NOWHERE, Checkpoint, State, Tensors
from lib.core.progress import log, track
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.module import ModuleError as ModuleError
from lib.engine.module import check_module
from lib.engine.training.backend import Engine
from lib.engine.training.group import Group
from lib.engine.training.memory import ZOO, group_size
from lib.engine.training.recipe import Recipe


@dataclass
class TrainedStack:
    """What training leaves, one row for each kept checkpoint.

    Attributes:
        stack: States [rows, ...]: the selected one of every instance in order, then the snapshots
            (`Training.snapshots`), if any, by number of epochs.
        columns: What is known of each row. `instance` is its place among the instances;
            `checkpoint_epoch` is -1 for a selected state, else the number of epochs that had
            passed; `selected_epoch` is the (0-based) epoch after which a row's state was taken,
            -1 for an initialisation; `train_curve` is a JSON list: the share of training images
            predicted right, while weights moved, in each epoch (of a snapshot: up to it).
        engine: What computed it (`Engine.record`).
    """

    stack: ensemble.Stack
    columns: dict[str, list] = field(default_factory=dict)
    engine: dict[str, str | int] = field(default_factory=dict)


def train(
    build: Callable[[], nn.Module],
    streams: Sequence[Stream],
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
    *,
    engine: Engine = Engine(),  # noqa: B008 (frozen)
    checkpoint: Checkpoint = NOWHERE,
    where: str = ZOO,
) -> TrainedStack:
    """Train one instance for each of `streams`, from which it draws.

    Returns the checkpoint of the best validation accuracy (or the last one, by `cfg.checkpoint`)
    of every instance with its metrics, and the snapshots that `cfg` asks for. An instance whose
    loss or state is not finite is marked diverged, is not trained further, and keeps what was
    selected before (its initialisation, with `selected_epoch` -1 and metrics NaN, if nothing was);
    the others are not touched by it.

    Args:
        build: makes a fresh module; called once per instance.
        streams: what each instance draws from.
        cfg: how to train.
        images: what to train on.
        validation: what checkpoints are selected by.
        engine: what computes the steps, and the memory it may take. With vmap, which kernels run,
            and so how sums are rounded, depends on its width: a last, smaller group is filled up
            with twins.
        checkpoint: where the state is saved now and then, and taken from if it is there already;
            that changes no bit of what comes out.
        where: the block of the config that says how they are trained, for messages.

    Raises:
        ModuleError: the module has parameters that cannot be trained side by side.
        MemoryPlanError: too few instances fit into `engine.max_memory`; raised before any work.
    """
    check_module(build())
    size = group_size(build, len(streams), cfg, images, validation, engine, where)
    latest = [math.nan]
    recipes = [Recipe.of(cfg, stream) for stream in streams]
    saved, rows = _Saved.of(checkpoint, size, images.x.device), []
    cuts = [slice(at, at + size) for at in range(0, len(streams), size)]
    epochs = [max(recipe.epochs for recipe in recipes[cut]) for cut in cuts]
    left = sum(epochs[saved.start // size :]) - saved.group[1]["done"] if saved else sum(epochs)
    ticks = track(range(left), "epochs", note=lambda: f"loss {latest[0]:.3f}")
    for cut, last in zip(cuts, epochs, strict=True):
        if saved and cut.start < saved.start:
            continue
        group = Group(build, streams[cut], recipes[cut], cfg, images, validation, engine)
        if saved and cut.start == saved.start:
            rows = saved.rows
            group.restore(*saved.group)
            log.info("resumed in epoch %d, with instance %d", group.done + 1, cut.start)
        state = partial(_state, size, cut.start, rows, group)
        keep = partial(checkpoint.offer, state)
        for _ in zip(range(group.done, last), ticks, strict=False):
            latest[0] = group.epoch(keep)
        if cut == cuts[-1]:
            checkpoint.finish(state)
        rows += [({"instance": cut.start + i} | c, kept) for i, c, kept in group.rows()]
    rows.sort(key=lambda row: row[0]["checkpoint_epoch"])  # keeps the order of instances
    return TrainedStack(
        ensemble.stack_states(state for _, state in rows),
        {name: [columns[name] for columns, _ in rows] for name in rows[0][0]},
        engine.record(images.x.device.type),
    )


@dataclass
class _Saved:
    """What a checkpoint of `train` holds: the finished groups' rows, and the group under way."""

    start: int
    rows: list
    group: State

    @classmethod
    def of(cls, checkpoint: Checkpoint, size: int, device: torch.device) -> _Saved | None:
        """What is there, if the groups were of this size; rows come to the device."""
        found = checkpoint.load()
        if found is None or found[1]["size"] != size:
            return None
        tensors, data = found
        parts: dict[str, Tensors] = {"rows": {}, "group": {}}
        for name, values in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = values.to(device) if part == "rows" else values
        states = (ensemble.select(parts["rows"], i) for i in range(len(data["columns"])))
        rows = list(zip(data["columns"], states, strict=True))
        return cls(data["start"], rows, (parts["group"], data["group"]))


def _state(size: int, start: int, rows: list, group: Group) -> State:
    """What `_Saved` holds."""
    tensors, data = group.state()
    stack = ensemble.stack_states(state for _, state in rows) if rows else {}
    found = {f"rows/{name}": values for name, values in stack.items()}
    found |= {f"group/{name}": values for name, values in tensors.items()}
    columns = [columns for columns, _ in rows]
    return found, {"size": size, "start": start, "columns": columns, "group": data}

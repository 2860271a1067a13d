"""Train many fields together, each on the samples of its own shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lib.config import FieldTraining
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.progress import log, track
from lib.core.streams import Stream
from lib.engine.kernels.backend import aligned
from lib.engine.kernels.emit import LANES
from lib.engine.kernels.program import RATES, Program, Recipe
from lib.engine.kernels.steps import HYPERPARAMETERS
from lib.engine.kernels.tracing import trace
from lib.engine.training.loop import TrainedStack
from lib.nets.layout import Layout

CHUNK = 250  # steps between two lines of progress, or two checkpoints; changes no result


def train_fields(
    build: Callable[[], nn.Module],
    streams: Sequence[Stream],
    cfg: FieldTraining,
    points: np.ndarray,
    distances: np.ndarray,
    *,
    shared: Stream | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> TrainedStack:
    """Train one field for each shape: mean squared error, Adam, half of a batch inside.

    Each step draws `cfg.batch_size` samples, half from inside of the shape and half from outside
    (paper, Sec. IV). One field trains after the other in machine code that holds all of it in
    cache (`lib.engine.kernels`), so a field's bits depend on its own stream and samples alone.

    Args:
        build: makes a fresh module from points [B, 3] to distances [B, 1].
        streams: what each field draws from.
        cfg: how to train.
        points: samples [n, M, 3] of each shape.
        distances: their signed distances [n, M], negative inside.
        shared: the one stream that all are initialised from; by default each its own.
        checkpoint: see `loop.train`.

    Returns:
        The states as they are after the last step. Columns: `instance` is the place among the
        fields, `train_mse` the loss of the last step; a field that is not finite is `diverged`.

    Raises:
        UnsupportedError: the module does something there is no kernel for.
    """
    seeds = [(shared or stream).of("init").seed for stream in streams]
    layout = Layout.of(build())
    recipe = Recipe(cfg.batch_size, loss="squared_error", optimizer="adam")
    offsets = {entry.name: entry.offset for entry in layout.entries}
    graph = trace(build(), (3,))
    state = aligned(len(streams), -(-layout.size // LANES) * LANES)
    program = Program(graph, offsets, state.shape[1], recipe)
    work, losses = aligned(program.workspace), np.full(len(streams), np.nan)
    slots = aligned(2 * state.shape[1])
    held = {"state": state, "slots": slots, "losses": torch.from_numpy(losses)}
    parts = [(i, start) for i in range(len(streams)) for start in range(0, cfg.steps, CHUNK)]
    done = 0
    if saved := checkpoint.load():
        done = saved[1]
        for part, values in held.items():
            values.copy_(saved[0][part])
        log.info("resumed with field %d", parts[done][0] if done < len(parts) else len(streams))
    for at in track(range(done, len(parts)), "steps", note=lambda: f"x{CHUNK}"):
        i, start = parts[at]
        if start == 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seeds[i])
                state[i, : layout.size] = layout.flatten(build().state_dict())
            slots.zero_()
        where, wanted = (
            np.ascontiguousarray(values[i], np.float32) for values in (points, distances)
        )
        steps = np.arange(start, min(start + CHUNK, cfg.steps))
        order = balanced(
            wanted, len(steps), cfg.batch_size, streams[i].of("batches", start).torch()
        )
        rate = rates(cfg, steps, recipe.betas)
        losses[i] = _run(program, state[i], slots, where, wanted, order, rate, work)[-1]
        checkpoint.offer(lambda at=at: (held, at + 1))
    checkpoint.finish(lambda: (held, len(parts)))
    flat = state[:, : layout.size].clone()
    columns = {
        "instance": list(range(len(streams))),
        "seed": seeds,
        "status": ["ok" if row.isfinite().all() else "diverged" for row in flat],
        "steps": [cfg.steps] * len(streams),
        "batch_size": [cfg.batch_size] * len(streams),
        "learning_rate": [cfg.learning_rate] * len(streams),
        "train_mse": losses.tolist(),
    }
    engine = {"kernels": "compiled", "device": "cpu"}
    return TrainedStack(layout.unflatten(flat), columns, engine)


def rates(cfg: FieldTraining, steps: np.ndarray, betas: tuple[float, float]) -> np.ndarray:
    """What Adam needs in each of the (0-based) steps, float32 [steps, 3]: see `steps.adam`."""
    rate = cfg.learning_rate * cfg.decay ** (steps // cfg.decay_every)
    first, second = (1 - beta ** (steps + 1.0) for beta in betas)
    found = np.zeros((len(steps), RATES), np.float32)
    found[:, 0], found[:, 1], found[:, 2] = rate, rate / first, second**-0.5
    return found


def balanced(distances: np.ndarray, steps: int, batch: int, rng: torch.Generator) -> np.ndarray:
    """Samples of each step, int32 [steps, batch]: half inside (rounded down), half outside.

    They are drawn with replacement from distances [M]. Of a shape that has samples on one side
    alone all come from there.
    """
    parts = []
    for side, count in ((distances < 0, batch // 2), (distances >= 0, batch - batch // 2)):
        found = np.flatnonzero(side if side.any() else ~side)
        parts.append(found[torch.randint(len(found), (steps, count), generator=rng).numpy()])
    return np.concatenate(parts, 1).astype(np.int32)


def _run(
    program: Program,
    state: Tensor,
    slots: Tensor,
    points: np.ndarray,
    distances: np.ndarray,
    order: np.ndarray,
    steps: np.ndarray,
    work: Tensor,
) -> np.ndarray:
    """Train one field [P] in place, a step for each row of `order`; the loss of each step."""
    nothing, hyper = np.zeros(1, np.int32), np.zeros(HYPERPARAMETERS, np.float32)
    stats = np.zeros((len(order), 2), np.float32)
    arrays = points, distances, order, nothing, nothing, steps, hyper
    program.epoch(
        state.data_ptr(),
        slots.data_ptr(),
        *(array.ctypes.data for array in arrays),
        work.data_ptr(),
        stats.ctypes.data,
        order.size,
    )
    return stats[:, 0]

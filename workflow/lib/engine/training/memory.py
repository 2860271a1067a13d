"""How much memory a training takes, found out before it starts.

What a step or a prediction sets aside for one network is measured: two networks are run through
both once, and the tensors that live at the same time are followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib.config import Kernels, Training
from lib.core.errors import InputError
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.training.backend import Engine, Rates
from lib.engine.training.optim import OPTIMIZERS
from lib.engine.training.vmap import VmapBackend

PAGE = 4096
ZOO = "zoos.<zoo>"  # what messages call a zoo whose name nobody gave
# What kernels set aside for themselves (copies in their own order, buffers), which are no tensors.
WORKSPACE = 2
CUDA_CONTEXT = 600 * 2**20  # bytes that CUDA and its libraries take on the device


class MemoryPlanError(InputError):
    """A training job would need more memory than it may take."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that training takes.

    Attributes:
        kept: Of each network of the job, from its training to the end: the checkpoints.
        state: Of each network of a group: parameters, optimizer state, data order, logits.
        running: Of each network that runs at once: activations, gradient, a batch of images.
    """

    kept: int
    state: int
    running: int

    def need(self, total: int, group: int, running: int) -> int:
        """Bytes for a job of `total` networks, `group` at a time of which `running` run."""
        return total * self.kept + group * self.state + running * self.running


def footprint(
    build: Callable[[], nn.Module],
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
    kernels: Kernels = "vmap",
) -> Footprint:
    """What one network takes; `running` of compiled kernels is for the one that runs at a time."""
    module, stack = build(), ensemble.init_stack(build, (0, 1))
    state = sum(v.nbytes for v in stack.values()) // 2
    parameters = sum(p.nbytes for p in module.parameters())
    slots = len(OPTIMIZERS[cfg.optimizer][1])
    draws = len(images.y) * (8 + (16 if cfg.augmentation.crop_padding else 0))
    logits = len(validation.y) * len(images.classes) * images.x.element_size()
    return Footprint(
        kept=2 * state * (1 + len(cfg.snapshots)),  # once more when all are put together
        # A copy is worked on where only some of a group train; draws are stacked, then copied.
        state=2 * (state + slots * parameters) + 3 * draws + 3 * logits,
        running=_running(module, stack, cfg, images, validation, kernels),
    )


def _running(
    module: nn.Module,
    stack: ensemble.Stack,
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
    kernels: Kernels,
) -> int:
    if kernels == "compiled":
        from lib.engine.kernels import running_bytes

        return running_bytes(module, cfg, images)
    return int(WORKSPACE * _measure(module, stack, cfg, images, validation) / 2)


def _measure(
    module: nn.Module,
    stack: ensemble.Stack,
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
) -> int:
    """Most bytes that a training step or a prediction of the stack sets aside."""
    count, shape = ensemble.size(stack), images.x.shape[1:]
    zeros = np.zeros(count)
    none = ImageSplit(torch.empty(0, *shape), torch.empty(0), images.classes, "", "")
    backend = VmapBackend(module, stack, cfg, Rates(zeros, zeros, zeros), none)
    batch, dtype = min(cfg.batch_size, len(images.y)), images.x.dtype
    with _Peak() as training:
        x = torch.zeros(count, batch, *shape, dtype=dtype)
        y = torch.zeros(count, batch, dtype=torch.int64)
        _ = torch.zeros_like(x)  # what the batch was picked from
        backend.step(backend.live, x, y, torch.zeros(count, 1, dtype=dtype))
    with _Peak() as prediction:
        batch = min(ensemble.EVALUATION_BATCH, len(validation.y))
        x = torch.zeros(batch, *shape, dtype=dtype)
        backend.outputs(list(range(count)), x)
    return max(training.most, prediction.most)


class _Peak(TorchDispatchMode):
    """Follows how many bytes of tensors made inside live at once; `most` of them."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[StorageWeakRef, int] = {}
        self.most = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it, torch would first import all of it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        given = {
            StorageWeakRef(value.untyped_storage())
            for value in tree_leaves((args, kwargs))
            if isinstance(value, Tensor)
        }
        for value in tree_leaves(results):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                reference = StorageWeakRef(storage)
                if reference not in given:
                    self.live[reference] = storage.nbytes()
        self.live = {ref: size for ref, size in self.live.items() if not ref.expired()}
        self.most = max(self.most, sum(self.live.values()))
        return results


def group_size(
    build: Callable[[], nn.Module],
    total: int,
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
    engine: Engine,
    where: str = ZOO,
) -> int:
    """How many of `total` networks train side by side within `engine.max_memory`.

    With vmap it is the width, which is part of the result's definition; compiled networks do not
    depend on each other, so as many as there is room for. Messages name keys of the block `where`.

    Raises:
        MemoryPlanError: that is more than there is room for, or not even one.
    """
    vmap = engine.kernels == "vmap"
    wanted = engine.width if vmap else total
    if engine.max_memory is None:
        return wanted
    found = footprint(build, cfg, images, validation, engine.kernels)
    fixed = _taken(images.x.device)
    each = found.state + (found.running if vmap else 0)
    room = engine.max_memory - fixed - found.need(total, 0, 0 if vmap else 1)
    fitting = max(0, room // each)
    if fitting >= (wanted if vmap else 1):
        return min(wanted, fitting)
    group = wanted if vmap else 1
    need = fixed + found.need(total, group, group if vmap else 1)
    ways = [
        "raise engine.max_memory",
        f"lower {where}.shard_size or {where}.training.batch_size",
    ]
    if vmap and fitting:
        ways.insert(1, f"set engine.width to at most {fitting}")
    raise MemoryPlanError(
        f"training {total} networks, {group} at a time, needs {_mb(need)} but engine.max_memory is "
        f"{_mb(engine.max_memory)}: {_mb(fixed)} are taken already (libraries, images), each "
        f"network of the shard takes {_mb(found.kept)}, each at a time {_mb(each)}; "
        + ", or ".join(ways)
    )


def _mb(size: int) -> str:
    return f"{math.ceil(size / 10**5) / 10:,.1f} MB"


def _taken(device: torch.device) -> int:
    """Bytes that this process has taken already: of the GPU, or of main memory (Linux)."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) + CUDA_CONTEXT
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * PAGE

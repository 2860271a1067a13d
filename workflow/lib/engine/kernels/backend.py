"""The compiled backend of training: instances are rows of one matrix, trained one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lib.config import Training
from lib.data.images import ImageSplit
from lib.engine.ensemble import Stack
from lib.engine.kernels.emit import LANES, LINE
from lib.engine.kernels.graph import Graph, refusal
from lib.engine.kernels.plan import plan
from lib.engine.kernels.program import RATES, Program, Recipe
from lib.engine.kernels.tracing import trace
from lib.engine.training.backend import EpochPlan, Rates

SLOTS = {"sgd": 1, "adam": 2, "adamw": 2}  # floats an optimizer keeps for each parameter
COMPILER = 100 * 2**20  # bytes that LLVM takes, most of them while it compiles
STEPS = "num_batches_tracked"


class CompiledBackend:
    """Trains instances with machine code written for their architecture.

    An instance's bits depend on nothing but itself: not on the other instances, their number or
    the processor's instruction set.
    """

    together = False

    def __init__(
        self, module: nn.Module, stack: Stack, cfg: Training, rates: Rates, images: ImageSplit
    ) -> None:
        """Take over the instances of `stack`; compile for `module`.

        Raises:
            UnsupportedError: `module` does something there is no kernel for.
        """
        if images.x.device.type != "cpu":
            raise refusal(f"device {images.x.device}")
        self.cfg, self.images = cfg, images
        count = len(rates.momentum)
        graph = traced(module, tuple(images.x.shape[1:]))
        names = [name for name, _ in module.named_parameters()]
        floats = [name for name in stack if name not in names and not name.endswith(STEPS)]
        offsets, trained = _lay_out(names, stack, 0)
        others, total = _lay_out(floats, stack, trained)
        offsets |= others
        pad = cfg.augmentation.crop_padding
        recipe = recipe_of(cfg)
        self.program, self.graph = Program(graph, offsets, trained, recipe), graph
        self.state = aligned(count, total)
        self.slots = aligned(count, SLOTS[cfg.optimizer] * trained)
        self.stack = {
            name: values.clone() if name not in offsets else self._view(name, values, offsets)
            for name, values in stack.items()
        }
        self.hyper = np.stack(
            [rates.momentum, rates.weight_decay, rates.label_smoothing], 1
        ).astype(np.float32)
        self.steps = np.zeros(count, np.int64)
        counts = {name: values for name, values in self.stack.items() if name not in offsets}
        taken = torch.from_numpy(self.steps)
        self.held = {"state": self.state, "slots": self.slots, "steps": taken, **counts}
        self.padded = _padded(images, pad)
        self.labels = images.y.numpy().astype(np.int32)
        self.work = aligned(self.program.workspace)
        self.seen = aligned(self.program.evaluation)

    def _view(self, name: str, values: Tensor, offsets: dict[str, int]) -> Tensor:
        shape = values.shape[1:]
        part = self.state[:, offsets[name] : offsets[name] + shape.numel()]
        part.copy_(values.detach().reshape(len(values), -1))
        return part.unflatten(1, shape) if shape else part[:, 0]

    def epoch(self, plan: EpochPlan) -> tuple[np.ndarray, np.ndarray]:
        """See `Backend.epoch`."""
        batch, items = self.cfg.batch_size, plan.order.shape[1]
        sizes = np.minimum(batch, items - np.arange(0, items, batch))
        found = np.zeros((len(plan.who), len(sizes), 2), np.float32)
        nothing = np.zeros(1, np.int32)
        for k, instance in enumerate(plan.who):
            order = np.ascontiguousarray(plan.order[k], np.int32)
            shifts = nothing if plan.shifts is None else plan.shifts[k].astype(np.int32)
            flips = nothing if plan.flips is None else plan.flips[k].astype(np.int32)
            rates = self._rates(plan.rate[k], len(sizes), instance)
            self.program.epoch(
                self.state[instance].data_ptr(),
                self.slots[instance].data_ptr(),
                self.padded.data_ptr(),
                _address(self.labels),
                _address(order),
                _address(shifts),
                _address(flips),
                _address(rates),
                _address(self.hyper[instance]),
                self.work.data_ptr(),
                _address(found[k]),
                items,
            )
            self.steps[instance] += len(sizes)
        for name, values in self.stack.items():
            if name.endswith(STEPS):
                values[plan.who] += len(sizes)
        return found[..., 0].astype(np.float64), found[..., 1].astype(np.float64)

    def _rates(self, rate: float, steps: int, instance: int) -> np.ndarray:
        """What the optimizer's update needs in each step, float32 [steps, 3]."""
        found = np.full((steps, RATES), rate)
        if self.cfg.optimizer != "sgd":
            for step in range(steps):
                taken = int(self.steps[instance]) + step + 1
                first, second = (1 - beta**taken for beta in self.program.recipe.betas)
                found[step, 1:] = rate / first, second**-0.5
        return found.astype(np.float32)

    def outputs(self, who: Sequence[int], x: Tensor) -> Tensor:
        """Eval-mode logits [K, n, classes] of instances `who` for shared images x [n, C, H, W]."""
        recipe, classes = self.program.recipe, self.graph.output.cells
        batches = -(-len(x) // recipe.batch)
        order = np.arange(len(x), dtype=np.int32)
        x = x.contiguous()
        found = aligned(classes, batches * recipe.row)
        kept = torch.empty(len(who), len(x), classes)
        for k, instance in enumerate(who):
            self.program.outputs(
                self.state[instance].data_ptr(),
                x.data_ptr(),
                _address(order),
                self.seen.data_ptr(),
                found.data_ptr(),
                len(x),
            )
            rows = found.view(classes, batches, recipe.row)[..., : recipe.batch]
            kept[k] = rows.reshape(classes, -1)[:, : len(x)].T
        return kept


def traced(module: nn.Module, shape: tuple[int, ...]) -> Graph:
    """The operations of a module that is to be trained, for inputs of this shape.

    Raises:
        UnsupportedError: there is no kernel for one, or a parameter that none of them uses.
    """
    graph = trace(module, shape)
    used = {name for op in graph.operations for name in op.weights.values()}
    if unused := [name for name, _ in module.named_parameters() if name not in used]:
        raise refusal(f"parameter {unused[0]!r}, which the network does not use")
    return graph


def recipe_of(cfg: Training) -> Recipe:
    """What of a training the compiled code depends on."""
    return Recipe(
        cfg.batch_size,
        optimizer=cfg.optimizer,
        betas=cfg.betas,
        eps=cfg.eps,
        padding=cfg.augmentation.crop_padding,
        shifted=cfg.augmentation.crop_padding > 0,
        flipped=cfg.augmentation.flip,
    )


def running_bytes(module: nn.Module, cfg: Training, images: ImageSplit) -> int:
    """Bytes that training takes beside the state of its networks, however many there are."""
    graph, row = trace(module, tuple(images.x.shape[1:])), recipe_of(cfg).row
    parameters = sum(parameter.numel() for parameter in module.parameters())
    floats = sum(plan(graph, row, parameters, way).size for way in (True, False))
    pad = 2 * cfg.augmentation.crop_padding
    framed = [side + pad for side in images.x.shape[2:]] if pad else [0]
    return COMPILER + 4 * (floats + images.x.shape[0] * images.x.shape[1] * math.prod(framed))


def aligned(*shape: int) -> Tensor:
    """Zeros whose first number lies at the start of a cache line; rows of whole lines."""
    size = int(np.prod(shape))
    room = torch.zeros(size + LANES)
    start = -room.data_ptr() % LINE // 4
    return room[start : start + size].view(*shape)


def _lay_out(names: Sequence[str], stack: Stack, start: int) -> tuple[dict[str, int], int]:
    """Offsets of the entries one after the other, and where whole vectors end."""
    offsets = {}
    for name in names:
        offsets[name], start = start, start + stack[name][0].numel()
    return offsets, -(-start // LANES) * LANES


def _padded(images: ImageSplit, pad: int) -> Tensor:
    """The images in a black frame."""
    if not pad:
        return images.x.contiguous()
    count, channels, *sides = images.x.shape
    black = torch.tensor(images.black)[:, None, None]
    framed = black.expand(count, channels, *(side + 2 * pad for side in sides)).clone()
    framed[..., pad:-pad, pad:-pad] = images.x
    return framed


def _address(array: np.ndarray) -> int:
    return array.ctypes.data

"""Many networks of one architecture on inputs, differentiable in their weights."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from torch import Tensor, nn

from lib.engine.kernels.backend import aligned
from lib.engine.kernels.emit import I64, LANES, POINTER, Emitter
from lib.engine.kernels.graph import refusal
from lib.engine.kernels.machine import library
from lib.engine.kernels.plan import plan
from lib.engine.kernels.program import batches, show, write_outputs
from lib.engine.kernels.tracing import trace
from lib.engine.kernels.writer import Kernels, Recipe, Writer

BATCH = 64


class Runner:
    """Runs networks, given as flat weights, through compiled code.

    A network's outputs and gradients do not depend on the other networks or on the processor's
    instruction set.
    """

    def __init__(self, module: nn.Module, shape: tuple[int, ...], offsets: dict[str, int]) -> None:
        """Compile `module`, which has no batch norm, for inputs of this shape [C, H, W].

        Args:
            module: the plain module.
            shape: of one input.
            offsets: where each parameter begins in the flat weights.

        Raises:
            UnsupportedError: `module` does something there is no kernel for.
        """
        self.graph, self.shape = trace(module, shape), shape
        if any(op.kind == "norm" for op in self.graph.operations):
            raise refusal("batch norm in a network that is run by its weights; fuse it first")
        self.parameters = sum(parameter.numel() for parameter in module.parameters())
        self.padded = -(-self.parameters // LANES) * LANES
        recipe, code = Recipe(BATCH), ir.Module()
        kernels = Kernels(code)
        plans = [plan(self.graph, recipe.row, self.padded, way) for way in (False, True)]
        writers = [
            Writer(kernels, self.graph, offsets, recipe, found, way)
            for found, way in zip(plans, (False, True), strict=True)
        ]
        _outputs(writers[0])
        _gradients(writers[1], self.padded)
        found = library(code)
        kinds = [ctypes.c_void_p] * 5 + [ctypes.c_int64] * 4
        self._outputs = found.function("outputs", kinds)
        self._gradients = found.function("gradients", [ctypes.c_void_p, *kinds])
        self.work = aligned(max(found.size for found in plans))

    def __call__(self, flat: Tensor, x: Tensor) -> Tensor:
        """Outputs [n, B, K] of networks [n, P]; gradients reach `flat`.

        Inputs are [B, C, H, W], the same for all networks, or [n, B, C, H, W], for each its own.
        """
        if x.requires_grad:
            raise ValueError("compiled networks give no gradient with respect to their inputs")
        return _Run.apply(flat, x, self)

    def outputs(self, flat: Tensor, x: Tensor) -> Tensor:
        """Outputs [n, B, K] without gradients."""
        flat, x, order = self._given(flat, x)
        items = len(order)
        found = aligned(len(flat), self.graph.output.cells, -(-items // BATCH) * BATCH)
        pointers = (flat, x, order, self.work, found)
        self._outputs(*(p.data_ptr() for p in pointers), *self._sizes(flat, x, items))
        return found[..., :items].transpose(1, 2).contiguous()

    def gradients(self, flat: Tensor, x: Tensor, change: Tensor) -> Tensor:
        """Gradients [n, P] of the weights, from those of the outputs [n, B, K]."""
        flat, x, order = self._given(flat, x)
        items = len(order)
        down = aligned(len(flat), self.graph.output.cells, -(-items // BATCH) * BATCH)
        down[..., :items] = change.transpose(1, 2)
        found = aligned(len(flat), self.padded)
        pointers = (flat, x, order, self.work, down, found)
        self._gradients(*(p.data_ptr() for p in pointers), *self._sizes(flat, x, items))
        return found[:, : self.parameters].contiguous()

    def _given(self, flat: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        *networks, items = x.shape[: x.ndim - len(self.shape)] or (None,)
        fits = x.shape[-len(self.shape) :] == self.shape and networks in ([], [len(flat)])
        if flat.shape[1:] != (self.parameters,) or items is None or not fits:
            raise ValueError(
                f"networks {tuple(flat.shape)} on inputs {tuple(x.shape)}, expected "
                f"[n, {self.parameters}] on [B, {', '.join(map(str, self.shape))}], or on as many "
                "for each network"
            )
        if {flat.device.type, x.device.type} != {"cpu"}:
            raise ValueError(
                f"networks on {flat.device}, inputs on {x.device}; kernels are of the CPU"
            )
        order = torch.from_numpy(np.arange(items, dtype=np.int32))
        return flat.detach().float().contiguous(), x.float().contiguous(), order

    def _sizes(self, flat: Tensor, x: Tensor, items: int) -> tuple[int, int, int, int]:
        own = x.ndim > len(self.shape) + 1
        return len(flat), self.parameters, x[0].numel() if own else 0, items


class _Run(torch.autograd.Function):
    """The forward pass is run again on the way back: its activations are never kept."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, x: Tensor, runner: Runner) -> Tensor:
        ctx.save_for_backward(flat, x)
        ctx.runner = runner
        return runner.outputs(flat, x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, change: Tensor) -> tuple[Tensor, None, None]:
        flat, x = ctx.saved_tensors
        return ctx.runner.gradients(flat, x, change), None, None


def _outputs(w: Writer) -> None:
    """void outputs(states, inputs, order, work, found, networks, stride, apart, items)."""
    e, pointers, (networks, stride, apart, items) = _start(w, "outputs", 5)
    states, inputs, order, w.work, found = pointers
    cells = w.graph.output.cells
    with e.loop(networks) as n:
        w.state = e.at(states, e.b.mul(n, stride))
        each = e.times(_rows(w, items), cells)
        own = e.at(inputs, e.b.mul(n, apart))
        write_outputs(w, own, order, e.at(found, e.times(n, each)), items)
    e.finish()


def _gradients(w: Writer, parameters: int) -> None:
    """void gradients(states, inputs, order, work, down, found, networks, stride, apart, items)."""
    e, pointers, (networks, stride, apart, items) = _start(w, "gradients", 6)
    states, inputs, order, w.work, down, found = pointers
    output, gradient = w.graph.output, e.at(w.work, w.plan.gradient)
    w.count = None
    with e.loop(networks) as n:
        w.state = e.at(states, e.b.mul(n, stride))
        own = e.at(inputs, e.b.mul(n, apart))
        mine = e.at(down, e.times(n, e.times(_rows(w, items), output.cells)))
        total = e.at(found, e.times(n, parameters))
        with batches(w, items) as (step, first, size, width):
            show(w, own, order, first, size)
            w.forward()
            with e.loop(output.cells) as k, e.loop(w.vectors) as v:
                here = e.times(v, LANES)
                value = e.load(mine, e.times(k, width), e.times(step, w.row), here)
                e.store(value, w.grad(output), e.times(k, w.row), here)
            w.backward()
            with e.loop(parameters // LANES) as m:
                at = e.times(m, LANES)
                e.store(e.b.fadd(e.load(total, at), e.load(gradient, at)), total, at)
    e.finish()


def _start(w: Writer, name: str, pointers: int) -> tuple[Emitter, list, list]:
    w.e = Emitter(w.kernels.module, name, [POINTER] * pointers + [I64] * 4)
    return w.e, list(w.e.function.args[:pointers]), list(w.e.function.args[pointers:])


def _rows(w: Writer, items: ir.Value) -> ir.Value:
    """Floats of all batches of one output."""
    batch = w.recipe.batch
    return w.e.times(w.e.b.sdiv(w.e.sum(items, batch - 1), I64(batch)), w.row)

"""Gradient descent on one tensor, networks or latents: every control and exploration that has one.

The job's checkpoint keeps its state, so that a job that is stopped goes on in the middle of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lib.core.checkpoint import State, of_job
from lib.core.progress import log, track
from lib.core.streams import Stream


def descend(
    start: Tensor,
    loss: Callable[[Tensor, torch.Generator], Tensor],
    *,
    stream: Stream,
    steps: int,
    rate: float,
    what: str,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
    every: int = 0,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """A tensor after some steps of Adam.

    Args:
        start: where it starts, [n, ...].
        loss: from the tensor and a generator to losses, whose sum is lowered.
        stream: each step draws from a stream of its own below it.
        steps: gradient steps.
        rate: learning rate at the start.
        what: shown with the progress.
        schedule: makes what changes the learning rate; constant if left out.
        every: call `watch(step, tensor)` every so many steps.
        watch: sees the tensor before its first step, on the way and at the end; after a job was
            stopped once more what it saw before.
    """
    run = _Run(start, rate, schedule)
    kept = of_job().part(start)
    if state := kept.load():
        run.restore(state)
        log.info("%s: resumed after step %d of %d", what, run.done, steps)
        for step, seen in run.seen.items():
            watch(step, seen)
    for step in track(range(run.done, steps), what):
        if watch and every and step % every == 0:
            run.seen[step] = run.x.detach().clone()
            watch(step, run.seen[step])
        run.optimizer.zero_grad()
        loss(run.x, stream.of("step", step).torch()).sum().backward()
        run.step()
        kept.offer(run.state)
    kept.finish(run.state)
    if watch:
        watch(steps, run.x.detach())
    return run.x.detach()


class _Run:
    """The tensor, how it moves, and what was seen of it."""

    def __init__(
        self, start: Tensor, rate: float, schedule: Callable[[Optimizer], LRScheduler] | None
    ) -> None:
        self.x = start.detach().clone().requires_grad_()
        self.optimizer = Adam([self.x], lr=rate)
        self.schedule = schedule(self.optimizer) if schedule else None
        self.done, self.seen = 0, dict[int, Tensor]()

    def step(self) -> None:
        """Move along the gradient."""
        self.optimizer.step()
        if self.schedule:
            self.schedule.step()
        self.done += 1

    def state(self) -> State:
        """All of it as tensors, and as plain data."""
        held = self.optimizer.state_dict()["state"].get(0, {})
        tensors = {"x": self.x} | {f"adam/{name}": value for name, value in held.items()}
        tensors |= {f"seen/{step}": value for step, value in self.seen.items()}
        data: dict[str, Any] = {"done": self.done, "rate": self.optimizer.param_groups[0]["lr"]}
        return tensors, data | {"schedule": self.schedule and self.schedule.state_dict()}

    def restore(self, state: State) -> None:
        """Take over a state that `state` gave."""
        tensors, data = state
        with torch.no_grad():
            self.x.copy_(tensors["x"])
        held = {k.removeprefix("adam/"): v for k, v in tensors.items() if k.startswith("adam/")}
        if held:
            self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": {0: held}})
        steps = sorted(int(name[5:]) for name in tensors if name.startswith("seen/"))
        self.seen = {step: tensors[f"seen/{step}"].to(self.x.device) for step in steps}
        self.optimizer.param_groups[0]["lr"] = data["rate"]
        if self.schedule:
            self.schedule.load_state_dict(data["schedule"])
        self.done = data["done"]

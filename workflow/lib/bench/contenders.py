"""What the zoo benchmark compares: ways to train, each made into a `Runner` for a subject."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lib.bench import peak
from lib.bench.sequential import Loop
from lib.bench.subjects import RATE, Runner, Subject
from lib.engine import ensemble
from lib.engine.kernels import CompiledBackend
from lib.engine.kernels.backend import aligned
from lib.engine.kernels.program import Program, Recipe
from lib.engine.kernels.tracing import trace
from lib.engine.training import EpochPlan, Rates
from lib.engine.training.vmap import VmapBackend

SHORT = 4  # steps


@dataclass(frozen=True)
class Contender:
    """A way to train.

    Attributes:
        kernels: `sequential`, `vmap`, `compiled`, or `peak` (no training: see `lib.bench.peak`).
        networks: side by side, in one process.
        variant: of the sequential loop, or of the peak.
    """

    kernels: str
    networks: int = 1
    variant: str = ""

    def runner(self, subject: Subject) -> Runner:
        """Build all that is needed; what it returns does the work."""
        return _RUNNERS[self.kernels](subject, self)


def _sequential(subject: Subject, contender: Contender) -> Runner:
    torch.manual_seed(0)
    data = subject.data()
    loop = Loop(
        subject.build(), data.x, data.y, subject.training(), subject.loss, contender.variant
    )
    orders = _orders(subject, 1)

    def run() -> int:
        loop.epoch(torch.from_numpy(orders()[0]))
        return subject.chunk

    return run


def _backend(kind: type, subject: Subject, contender: Contender) -> Runner:
    data, cfg, count = subject.data(), subject.training(), contender.networks
    stack = ensemble.init_stack(subject.build, range(count))
    rates = Rates(*(np.full(count, v) for v in (cfg.momentum, cfg.weight_decay, 0.0)))
    backend = kind(subject.build(), stack, cfg, rates, data)
    orders, who, rate = _orders(subject, count), list(range(count)), np.full(count, RATE)

    def run() -> int:
        backend.epoch(EpochPlan(who, orders(), rate))
        return subject.chunk * count

    return run


def _vmap(subject: Subject, contender: Contender) -> Runner:
    kind = VmapBackend if subject.loss == "cross_entropy" else _SquaredErrorVmap
    few = replace(subject, chunk=min(subject.chunk, SHORT))  # calls cost nothing beside its steps
    return _backend(kind, few, contender)


def _compiled(subject: Subject, contender: Contender) -> Runner:
    if subject.loss == "cross_entropy":
        return _backend(CompiledBackend, subject, contender)
    return _compiled_points(subject, contender)


class _SquaredErrorVmap(VmapBackend):
    """Squared error to `images.y` [n, outputs] in the place of cross entropy to classes."""

    def step(self, live: ensemble.Stack, x: Tensor, y: Tensor, rate: Tensor):
        """See `VmapBackend.step`; hits are zero."""
        parameters = live["parameters"].detach().requires_grad_()
        outputs = ensemble.run(self.module, self._views(parameters), x)
        losses = (outputs - y).square().flatten(1).mean(1)
        (gradient,) = torch.autograd.grad(losses.sum(), parameters)
        self.update(live["parameters"], gradient, live, rate, self.cfg)
        return losses.detach(), torch.zeros(len(x))


def _compiled_points(subject: Subject, contender: Contender) -> Runner:
    """The compiled program by itself: `CompiledBackend` trains classifiers only."""
    data, cfg, count = subject.data(), subject.training(), contender.networks
    module = subject.build()
    offsets, size = {}, 0
    for name, parameter in module.named_parameters():
        offsets[name], size = size, size + parameter.numel()
    size = -(-size // 16) * 16
    recipe = Recipe(subject.batch, subject.loss, subject.optimizer, cfg.betas, cfg.eps)
    program = Program(trace(module, subject.shape), offsets, size, recipe)
    state, slots = aligned(count, size), aligned(count, 2 * size)
    for name, values in ensemble.init_stack(subject.build, range(count)).items():
        values = values.flatten(1)
        state[:, offsets[name] : offsets[name] + values.shape[1]] = values
    work = aligned(program.workspace)
    stats, nothing = np.zeros((subject.chunk, 2), np.float32), np.zeros(1, np.int32)
    hyper = np.array([cfg.momentum, cfg.weight_decay, 0.0], np.float32)
    orders, taken = _orders(subject, count), [0]

    def run() -> int:
        steps = np.arange(1, subject.chunk + 1) + taken[0]
        taken[0] += subject.chunk
        first, second = (1 - beta**steps for beta in cfg.betas)
        rates = np.stack([np.full(len(steps), RATE), RATE / first, second**-0.5], 1).astype(
            np.float32
        )
        for k, order in enumerate(orders().astype(np.int32)):
            program.epoch(
                state[k].data_ptr(),
                slots[k].data_ptr(),
                data.x.data_ptr(),
                data.y.data_ptr(),
                order.ctypes.data,
                nothing.ctypes.data,
                nothing.ctypes.data,
                rates.ctypes.data,
                hyper.ctypes.data,
                work.data_ptr(),
                stats.ctypes.data,
                len(order),
            )
        return subject.chunk * count

    return run


def _orders(subject: Subject, count: int) -> Callable[[], np.ndarray]:
    """Draws the items of whole batches for each of `count` networks: int64 [count, m]."""
    rng, m = np.random.default_rng(0), subject.chunk * subject.batch
    long = np.concatenate([rng.permutation(subject.items) for _ in range(2 + m // subject.items)])
    starts = rng.integers(subject.items, size=(256, count))
    turn = itertools.count()

    def draw() -> np.ndarray:
        return np.stack([long[at : at + m] for at in starts[next(turn) % len(starts)]])

    return draw


def _peak(subject: Subject, contender: Contender) -> Runner:
    return peak.RUNNERS[contender.variant]()


_RUNNERS: dict[str, Callable[[Subject, Contender], Runner]] = {
    "sequential": _sequential,
    "vmap": _vmap,
    "compiled": _compiled,
    "peak": _peak,
}

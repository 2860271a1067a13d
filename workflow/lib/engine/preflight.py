"""An architecture tried out before anything is trained: will a stored network be the trained one?

A network is stored as its parameters alone, and trains as one of many. What that asks of a module
cannot all be read off it, so two small networks are built, take a step on two images, are fused,
laid out as rows, rebuilt from these and compared. What does not hold is refused by name.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib import nets
from lib.config import Kernels, Training
from lib.core.errors import InputError
from lib.core.names import ALLOWED, NAME
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.dropout import Streams, draws
from lib.engine.module import check_module
from lib.engine.outside import differing, held
from lib.engine.training.backend import EpochPlan, Rates
from lib.engine.training.vmap import VmapBackend
from lib.nets.fuse import COUNTER, Pairs, bn_pairs, fuse_state, fused_skeleton, lone_norms
from lib.nets.layout import Layout

CLOSE = 1e-3  # of the largest output; what fusing rounds is far below
PARAMETERS_ALONE = "a stored network is its parameters alone"


class PreflightError(InputError):
    """An architecture cannot be trained, stored and used as one of many networks."""


def preflight(
    architecture: str,
    channels: int,
    size: int,
    classes: int,
    kernels: Kernels = "vmap",
    device: str = "cpu",
) -> None:
    """Try an architecture out; well under a second for small networks.

    Args:
        architecture: a registered one.
        channels, size, classes: of the images it is for.
        kernels: what is to train it. For `compiled` every operation is looked up; that the machine
            code is right does not depend on the architecture, and to make it takes seconds.
        device: where it is to be used; on "cpu" an embedder runs it compiled, too, unless it is
            registered with `compiled=False`.

    Raises:
        PreflightError: naming the architecture, what in it is at fault, and what would be right.
        ArchitectureError, FuseError, UnsupportedError: it cannot be built, fused or compiled so.
    """

    where = f"architecture {architecture} ({nets.module_of(architecture)})"
    with torch.random.fork_rng(devices=[]):
        try:
            _Trial(architecture, (channels, size, size), classes).run(kernels, device)
        except InputError as error:
            raise type(error)(f"{where}: {error}") from error.__cause__


class _Trial:
    """Two networks of one architecture on two images."""

    def __init__(self, architecture: str, shape: tuple[int, int, int], classes: int) -> None:
        self.architecture, self.shape, self.classes = architecture, shape, classes
        rng = torch.Generator().manual_seed(0)
        self.x = torch.randn(3, *shape, generator=rng)

    def run(self, kernels: Kernels, device: str) -> None:
        """Everything, cheap things first."""
        module, other = self._build(0), self._build(1)
        self._check_parameters(module)
        self._check_builds(module, other)
        self._check_outputs(module)
        self._check_training(module)
        fused = self._fused(module)
        if kernels == "compiled":
            self._check_compiled(module)
        if device == "cpu" and nets.compiled(self.architecture):
            from lib.engine.kernels.tracing import trace

            trace(fused, self.shape)
        self._compare(module, other)

    def _build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        channels, size, _ = self.shape
        try:
            return nets.build(self.architecture, channels, size, self.classes)
        except InputError:
            raise
        except Exception as error:
            image = f"images of {channels}x{size}x{size} and {self.classes} classes"
            raise PreflightError(f"cannot be built for {image}: {_said(error)}") from error

    def _check_parameters(self, module: nn.Module) -> None:
        check_module(module)
        for name, parameter in module.named_parameters():
            if parameter.dtype != torch.float32:
                raise PreflightError(
                    f"its parameter {name} is {parameter.dtype}, expected torch.float32"
                )
            if not NAME.fullmatch(name):
                raise PreflightError(f"its parameter is called {name!r}; a name is {ALLOWED}")

    def _check_builds(self, module: nn.Module, other: nn.Module) -> None:
        """Networks differ in their parameters alone, and those come from torch's numbers."""
        if module is other:
            raise PreflightError("its builder gives the same module twice, expected a new one")
        again = self._build(0)
        if odd := differing(dict(module.named_parameters()), dict(again.named_parameters())):
            raise PreflightError(
                f"its parameter {odd[0]} is not made of torch's random numbers alone: built twice "
                "with the same torch.manual_seed it differs, so that no run could be repeated"
            )
        if odd := differing(held(module), held(other)):
            buffer = odd[0] in dict(module.named_buffers())
            raise PreflightError(
                f"{odd[0]!r} is {'a buffer' if buffer else 'kept'} outside its parameters and "
                f"differs from network to network, but {PARAMETERS_ALONE}: make it a parameter "
                "(torch.nn.Parameter; layers in a torch.nn.ModuleList), or the same in every "
                "network (a torch.Generator with a fixed seed)"
            )

    def _check_outputs(self, module: nn.Module) -> None:
        """In eval mode: logits [B, classes], the same each time, and the images left alone."""
        module = copy.deepcopy(module).eval()
        x = self.x.clone()
        first = self._forward(module, x)
        if not isinstance(first, Tensor):
            count = f" of {len(first)}" if isinstance(first, list | tuple | Mapping) else ""
            raise PreflightError(
                f"its forward gives a {type(first).__name__}{count}, expected the logits alone, a "
                f"tensor [images, {self.classes}]"
            )
        if tuple(first.shape) != (len(x), self.classes):
            raise PreflightError(
                f"its forward gives the shape {tuple(first.shape)} for {len(x)} images, expected "
                f"one number for each class: {(len(x), self.classes)}"
            )
        if first.dtype != torch.float32:
            raise PreflightError(f"its forward gives {first.dtype}, expected torch.float32")
        if not x.equal(self.x):
            raise PreflightError(
                "its forward changes the images that it is given; it may not work in place on its "
                "input"
            )
        if not _equal(first, self._forward(module, x)):
            raise PreflightError(
                "in eval mode it answers the same images differently each time: its random "
                "numbers have to depend on self.training, as in F.dropout(x, p, self.training)"
            )

    def _check_training(self, module: nn.Module) -> None:
        """In training no random numbers but dropout's are drawn."""
        module = copy.deepcopy(module).train()

        def step() -> None:
            with Streams(torch.tensor(0)):
                self._forward(module, self.x[:2].clone())

        if draws(step):
            raise PreflightError(
                "it draws random numbers while it trains, in another way than torch.nn.Dropout or "
                "F.dropout (1d, 2d and 3d too), which alone give each network a stream of its own: "
                "use these, or leave the random numbers out (also the dropout inside "
                "torch.nn.MultiheadAttention and LSTM)"
            )

    def _check_compiled(self, module: nn.Module) -> None:
        """There are kernels for all that it does, and they do the same in training and after."""
        from lib.engine.kernels.backend import traced
        from lib.engine.kernels.graph import UnsupportedError

        try:
            graphs = [traced(copy.deepcopy(module).train(on), self.shape) for on in (True, False)]
        except UnsupportedError:
            self._compare(module, self._build(1))  # so that it is true that vmap would do
            raise
        one, other = ([(op.kind, op.weights, op.options) for op in g.operations] for g in graphs)
        if one != other:
            raise PreflightError(
                "its forward does something else in training than in eval mode, which the "
                "compiled kernels do not: set engine.kernels to vmap, and register the "
                "architecture with compiled=False"
            )

    def _fused(self, module: nn.Module) -> nn.Module:
        fused = fused_skeleton(module).eval()
        layout = Layout.of(fused)
        for entry in layout.entries:
            if not NAME.fullmatch(entry.kind):
                raise PreflightError(f"its layer is a {entry.kind!r}; a name is {ALLOWED}")
        return fused

    def _compare(self, module: nn.Module, other: nn.Module) -> None:
        """A network that took a step, and the same rebuilt from its row, answer alike."""
        module, before = copy.deepcopy(module), held(copy.deepcopy(module))
        stack = ensemble.stack_states([module.state_dict(), other.state_dict()])
        backend = self._step(module, stack)
        trained = {name: values.detach() for name, values in backend.stack.items()}
        pairs = bn_pairs(module)
        norms = _statistics(module, pairs)
        buffers = {k: v[0] for k, v in trained.items() if k in before and k not in norms}
        if odd := differing({k: before[k] for k in buffers}, buffers):
            raise PreflightError(
                f"its buffer {odd[0]!r} changes while it trains, but {PARAMETERS_ALONE}, with "
                "batch norm's running statistics (torch.nn.BatchNorm1d to 3d) folded into them"
            )
        rebuilt = fused_skeleton(other).eval()
        layout = Layout.of(rebuilt)
        flat = layout.flatten(fuse_state(trained, pairs, module))
        answers = backend.outputs([0, 1], self.x)
        again = ensemble.predict(rebuilt, layout.unflatten(flat), self.x)
        if not _equal(answers, again):
            gap = float((answers - again).abs().max())
            raise PreflightError(
                f"a network rebuilt from its parameters does not answer as the trained one did "
                f"(its outputs differ by {gap:.3g}): something that its forward uses is kept "
                f"outside its parameters, but {PARAMETERS_ALONE}"
            )

    def _step(self, module: nn.Module, stack: ensemble.Stack) -> VmapBackend:
        names, zeros = tuple(map(str, range(self.classes))), np.zeros(2)
        two = ImageSplit(self.x[:2].clone(), torch.tensor([0, 1]), names, "", "")
        cfg = Training(batch_size=2)
        plan = EpochPlan([0, 1], np.array([[0, 1], [1, 0]]), np.full(2, 0.01))
        try:
            backend = VmapBackend(module, stack, cfg, Rates(zeros, zeros, zeros), two)
            backend.epoch(plan)
            backend.outputs([0, 1], self.x)
        except Exception as error:
            raise PreflightError(
                f"it runs alone, but not as one of many by torch.func.vmap: {_said(error)}; its "
                "forward may not branch on values, call .item(), or use layers that vmap does not "
                "know (torch.nn.LSTM and GRU, spectral_norm)"
            ) from error
        return backend

    def _forward(self, module: nn.Module, x: Tensor) -> Any:
        try:
            with torch.no_grad():
                return module(x)
        except Exception as error:
            raise PreflightError(
                f"its forward fails for {len(x)} images of "
                f"{'x'.join(map(str, self.shape))}: {_said(error)}"
            ) from error


def _statistics(module: nn.Module, pairs: Pairs) -> set[str]:
    """Names of the buffers that batch norm changes, and that fusing folds into parameters."""
    norms = [*(norm for _, norm in pairs), *lone_norms(module, pairs)]
    return {f"{norm}.{n}" for norm in norms for n in ("running_mean", "running_var", COUNTER)}


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether outputs are the same up to rounding."""
    scale = one[one.isfinite()].abs().max().item() if one.isfinite().any() else 1.0
    return torch.allclose(one, other, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True)


def _said(error: Exception) -> str:
    """The first line of what an error says, and its kind."""
    text = next(iter(str(error).strip().splitlines()), "").split(". ")[0]
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__

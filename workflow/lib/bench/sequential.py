"""The baseline: the fastest loop over single networks that torch was found to give on a CPU.

One network at a time, one step after the other, with nothing left to Python that can be done
without it:

- forward and backward pass are traced once to a flat list of torch's operators (`make_fx`) and run
  by the TorchScript interpreter: no modules, no autograd, no Python between operators;
- the optimizer is torch's own fused kernel, called without the bookkeeping of `torch.optim`;
- a batch is gathered into memory that is there already;
- the allocator keeps what it has (`tune_allocator`), so that no page is touched for the first time
  twice.

`VARIANTS` are the choices that differ by architecture; the benchmark tries them and keeps the
fastest. docs/results/speed.md says what else was tried.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from lib.config import Training

# `graph`: as above. `channels_last`: the same, channels innermost. `dense`: the same, and
# convolutions are matrix products with their kernels laid out as whole (Toeplitz) matrices.
# `compile`: the two passes by `torch.compile`, which needs a C++ compiler.
VARIANTS = ("graph", "channels_last", "dense", "compile")
DENSE = 2**20  # numbers of a convolution laid out as a matrix, at most
LOSSES = {"cross_entropy": F.cross_entropy, "squared_error": F.mse_loss}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, LARGE = -1, -3, 2**30

Step = Callable[..., Sequence[Tensor]]  # parameters, buffers, x, y: loss, gradients


def suits(variant: str, module: nn.Module) -> bool:
    """Whether a variant makes a difference to a module, and can be run here."""
    if variant in ("channels_last", "dense"):
        return any(isinstance(layer, nn.Conv2d) for layer in module.modules())
    return variant != "compile" or shutil.which(os.environ.get("CXX", "g++")) is not None


def tune_allocator() -> None:
    """Let the C library keep freed memory, whatever its size (does nothing without glibc)."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
        mallopt(option, LARGE)


class Loop:
    """Trains one module, in place, on inputs x [n, ...] and targets y [n, ...].

    Attributes:
        module: the module; its parameters and buffers are the state.
    """

    def __init__(
        self,
        module: nn.Module,
        x: Tensor,
        y: Tensor,
        cfg: Training,
        loss: str = "cross_entropy",
        variant: str = VARIANTS[0],
    ) -> None:
        """Make ready to train; graphs are traced at the first step of each batch size."""
        self.module, self.y, self.cfg, self.variant = module.train(), y, cfg, variant
        self.format = torch.contiguous_format
        if variant == "channels_last" and x.ndim == 4:
            self.format = torch.channels_last
        self.x = x.contiguous(memory_format=self.format)
        run = module.to(memory_format=self.format)
        if variant == "dense":
            run = _with_dense_convolutions(module, x[:1])
        self.update = _UPDATES[cfg.optimizer](list(module.parameters()), cfg)
        self.pass_ = _Compiled(run, loss) if variant == "compile" else _Traced(run, loss)
        self.room: dict[int, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def epoch(self, order: Tensor) -> None:
        """Go through the items in this order, int64 [m], in batches."""
        for chosen in order.split(self.cfg.batch_size):
            x, y = self._room(len(chosen))
            if self.format == torch.channels_last:
                # index_select would give up the order of the axes
                torch.index_select(self.x.permute(0, 2, 3, 1), 0, chosen, out=x.permute(0, 2, 3, 1))
            else:
                torch.index_select(self.x, 0, chosen, out=x)
            torch.index_select(self.y, 0, chosen, out=y)
            self.update(self.pass_(x, y))

    def _room(self, size: int) -> tuple[Tensor, Tensor]:
        if size not in self.room:
            x = torch.empty_like(self.x[:size], memory_format=self.format)
            self.room[size] = x, torch.empty_like(self.y[:size])
        return self.room[size]


class _Traced:
    """Loss and gradients as a flat list of operators; one list for each batch size."""

    def __init__(self, module: nn.Module, loss: str) -> None:
        self.module, self.loss = module, LOSSES[loss]
        self.names = [name for name, _ in module.named_parameters()]
        self.buffers = [name for name, _ in module.named_buffers()]
        self.state = [p.detach() for p in module.parameters()] + list(module.buffers())
        self.steps: dict[int, Step] = {}

    def __call__(self, x: Tensor, y: Tensor) -> Sequence[Tensor]:
        if len(x) not in self.steps:
            self.steps[len(x)] = self._trace(x, y)
        return self.steps[len(x)](*self.state, x, y)[1:]

    def _trace(self, x: Tensor, y: Tensor) -> Step:
        def both(*flat: Tensor) -> tuple[Tensor, ...]:
            parameters = [p.requires_grad_() for p in flat[: len(self.names)]]
            state = dict(zip(self.names + self.buffers, flat[:-2], strict=True))
            loss = self.loss(functional_call(self.module, state, (flat[-2],)), flat[-1])
            return loss.detach(), *(g.detach() for g in torch.autograd.grad(loss, parameters))

        with torch.enable_grad():
            graph = make_fx(both)(*(values.clone() for values in self.state), x, y)
        for node in list(graph.graph.nodes):
            if node.target is torch.ops.aten.detach.default:
                node.replace_all_uses_with(node.args[0])
                graph.graph.erase_node(node)
        graph.recompile()
        return scripted(graph.code)


class _Compiled:
    """Loss and gradients by `torch.compile`."""

    def __init__(self, module: nn.Module, loss: str) -> None:
        self.parameters, function = list(module.parameters()), LOSSES[loss]
        self.loss = torch.compile(lambda x, y: function(module(x), y), dynamic=False)

    def __call__(self, x: Tensor, y: Tensor) -> Sequence[Tensor]:
        with torch.enable_grad():
            return torch.autograd.grad(self.loss(x, y), self.parameters)


def scripted(code: str) -> Step:
    """The Python source of a traced graph of tensors as a TorchScript function."""
    lines = [re.sub(r";  .*$", "", line) for line in code.strip().splitlines()]
    code = "\n".join(lines) + "\n"
    code = re.sub(r"(torch\.ops\.aten\.\w+)\.\w+\(", r"\1(", code)  # overloads go by arguments
    code = re.sub(r"device\(type='cpu'\)", "torch.device('cpu')", code)
    code = re.sub(r"def forward\(self, (.*)\) *:", r"def step(\1) -> List[Tensor]:", code)
    code = re.sub(r"return \((.*)\)", r"return [\1]", code)
    return torch.jit.CompilationUnit(code).step


class _Dense(nn.Module):
    """A convolution of inputs of one shape as a product with a matrix [inputs, outputs]."""

    def __init__(self, layer: nn.Conv2d, shape: torch.Size) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        # run the convolution on numbered weights and unit inputs: which weight lies where
        numbers = torch.arange(1, layer.weight.numel() + 1, dtype=torch.float64)
        units = torch.eye(shape.numel(), dtype=torch.float64).unflatten(1, shape)
        places = F.conv2d(
            units, numbers.view_as(layer.weight), None, layer.stride, layer.padding, layer.dilation
        )
        self.shape, self.size = places.shape[1:], places.flatten(1).shape
        self.register_buffer("places", places.flatten().round().long(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        padded = torch.cat([self.weight.new_zeros(1), self.weight.flatten()])
        matrix = padded.index_select(0, self.places).view(self.size)
        y = (x.flatten(1) @ matrix).unflatten(1, self.shape)
        return y if self.bias is None else y + self.bias[:, None, None]


def _with_dense_convolutions(module: nn.Module, x: Tensor) -> nn.Module:
    """A module of the same parameters whose small convolutions are matrix products."""
    sizes: dict[nn.Module, tuple[torch.Size, torch.Size]] = {}
    hooks = [
        layer.register_forward_hook(
            lambda layer, given, y: sizes.update({layer: (given[0].shape[1:], y.shape[1:])})
        )
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    with torch.no_grad():
        module.eval()(x)
    for hook in hooks:
        hook.remove()
    small = {
        layer: shape for layer, (shape, out) in sizes.items() if shape.numel() * out.numel() < DENSE
    }
    return _swapped(module.train(), small)


def _swapped(module: nn.Module, small: dict[nn.Module, torch.Size]) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _Dense(child, small[child]) if child in small else child)
        _swapped(child, small)
    return module


def _sgd(parameters: list[Tensor], cfg: Training) -> Callable[[Sequence[Tensor]], None]:
    """What `torch.optim.SGD(fused=True)` calls."""
    slots = [torch.zeros_like(p) for p in parameters]
    fixed = {
        "weight_decay": cfg.weight_decay,
        "momentum": cfg.momentum,
        "lr": cfg.learning_rate,
        "dampening": 0.0,
        "nesterov": False,
        "maximize": False,
        "is_first_step": False,
    }
    return lambda gradients: torch._fused_sgd_(parameters, list(gradients), slots, **fixed)


def _adam(parameters: list[Tensor], cfg: Training) -> Callable[[Sequence[Tensor]], None]:
    """What `torch.optim.Adam(fused=True)` calls."""
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    steps = [torch.zeros(()) for _ in parameters]
    fixed = {
        "lr": cfg.learning_rate,
        "beta1": cfg.betas[0],
        "beta2": cfg.betas[1],
        "weight_decay": cfg.weight_decay,
        "eps": cfg.eps,
        "amsgrad": False,
        "maximize": False,
    }

    def update(gradients: Sequence[Tensor]) -> None:
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(parameters, list(gradients), first, second, [], steps, **fixed)

    return update


_UPDATES = {"sgd": _sgd, "adam": _adam}

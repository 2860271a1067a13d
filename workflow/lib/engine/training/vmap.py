"""The backend that runs any plain module through `torch.func.vmap`, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from lib.config import Precision, Training
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.dropout import drops_out, following
from lib.engine.training.augment import pick
from lib.engine.training.backend import EpochPlan, Rates
from lib.engine.training.optim import OPTIMIZERS


class VmapBackend:
    """N instances side by side, their parameters the rows of one matrix [N, P].

    Which kernels run, and so how sums are rounded, depends on how many instances run at once:
    where fewer than `width` have something to do, copies of the last of them fill the places.
    """

    together = True

    def __init__(
        self,
        module: nn.Module,
        stack: ensemble.Stack,
        cfg: Training,
        rates: Rates,
        images: ImageSplit,
        width: int = 0,
        precision: Precision = "float32",
    ) -> None:
        """Take over copies of the instances of `stack`, on the device of the images."""
        device = images.x.device
        self.drops = drops_out(module, images.x.shape[1:])
        self.module, self.cfg, self.images = module.to(device).train(), cfg, images
        self.precision, self.count = precision, ensemble.size(stack)
        self.width = max(width, self.count)
        self.shapes = {name: p.shape for name, p in module.named_parameters()}
        rows = [stack[name].reshape(self.count, -1) for name in self.shapes]
        flat = torch.cat(rows, 1).to(device)
        buffers = {k: v.to(device, copy=True) for k, v in stack.items() if k not in self.shapes}
        self.stack = self._views(flat) | buffers
        self.update, kept = OPTIMIZERS[cfg.optimizer]

        def column(values: np.ndarray) -> Tensor:
            return torch.from_numpy(np.array(values, np.float64))[:, None].to(device)

        # All that an epoch needs of an instance, [N, ...] each; it is copied where only some train.
        self.held = self.live = {
            "parameters": flat,
            "momentum": column(rates.momentum).to(flat),
            "weight_decay": column(rates.weight_decay).to(flat),
            "label_smoothing": column(rates.label_smoothing).to(flat),
            "steps": column(np.zeros(self.count)),
            **self._streams(rates, device),
            **{name: torch.zeros_like(flat) for name in kept},
            **{f"buffer {name}": values for name, values in buffers.items()},
        }

    def epoch(self, plan: EpochPlan) -> tuple[np.ndarray, np.ndarray]:
        """See `Backend.epoch`."""
        device, places = self.images.x.device, self._places(len(plan.who))
        whole = self._is_whole(plan.who)

        def rows(values: np.ndarray | None) -> Tensor | None:
            return None if values is None else torch.from_numpy(values[places]).to(device)

        order, shifts, flips = rows(plan.order), rows(plan.shifts), rows(plan.flips)
        live = self.live if whole else ensemble.select(self.live, np.array(plan.who)[places])
        rate = rows(plan.rate)[:, None].to(live["parameters"])
        found = []
        for at in range(0, order.shape[1], self.cfg.batch_size):
            now = slice(at, at + self.cfg.batch_size)
            x = pick(
                self.images.x,
                order[:, now],
                None if shifts is None else shifts[:, now],
                None if flips is None else flips[:, now],
                self.cfg.augmentation.crop_padding,
                self.images.black,
            )
            found.append(self.step(live, x, self.images.y[order[:, now]], rate))
        if not whole:
            for name, values in self.live.items():
                values[plan.who] = live[name][: len(plan.who)]
        losses, hits = (
            torch.stack(steps, 1)[: len(plan.who)].double().cpu().numpy()
            for steps in zip(*found, strict=True)
        )
        return losses, hits

    def step(
        self, live: ensemble.Stack, x: Tensor, y: Tensor, rate: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step of K instances on batches x [K, B, C, H, W], y [K, B]: losses and hits [K]."""
        parameters = live["parameters"].detach().requires_grad_()
        buffers = {k.removeprefix("buffer "): v for k, v in live.items() if k.startswith("buffer ")}
        with _arithmetic(self.precision, x.device.type):
            stack, streams = self._views(parameters) | buffers, live.get("streams")
            outputs = ensemble.run(self.module, stack, x, streams=streams)
            scores = outputs.to(parameters.dtype).log_softmax(-1)
            smoothing, classes = live["label_smoothing"][..., None], scores.shape[-1]
            labels = (y[..., None] == torch.arange(classes, device=y.device)).to(scores)
            targets = labels * (1 - smoothing) + smoothing / classes
            losses = -(targets * scores).sum(-1).mean(1)
            (gradient,) = torch.autograd.grad(losses.sum(), parameters)
        self.update(live["parameters"], gradient, live, rate, self.cfg)
        if streams is not None:
            streams.copy_(following(streams))
        return losses.detach(), (outputs.detach().argmax(-1) == y).sum(1)

    def _streams(self, rates: Rates, device: torch.device) -> ensemble.Stack:
        """What dropout of each instance draws from, where there is any: [N]."""
        if not self.drops:
            return {}
        streams = np.arange(self.count) if rates.streams is None else rates.streams
        return {"streams": torch.from_numpy(streams).to(device)}

    def outputs(self, who: list[int], x: Tensor) -> Tensor:
        """See `Backend.outputs`."""
        chosen = np.array(who)[self._places(len(who))]
        stack = self.stack if self._is_whole(who) else ensemble.select(self.stack, chosen)
        with _arithmetic(self.precision, x.device.type):
            return ensemble.predict(self.module, stack, x)[: len(who)].to(x.dtype)

    def _places(self, count: int) -> np.ndarray:
        """Numbers 0 to count - 1, the last again and again up to the width: [width]."""
        return np.minimum(np.arange(self.width), count - 1)

    def _is_whole(self, who: list[int]) -> bool:
        return who == list(range(self.width))

    def _views(self, flat: Tensor) -> ensemble.Stack:
        """The parameters by name, [N, *shape] each, as parts of rows [N, P]."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()], 1)
        return {
            name: part.unflatten(1, shape) if shape else part[:, 0]
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


@contextmanager
def _arithmetic(precision: Precision, device: str) -> Iterator[None]:
    """Run products at a precision; what torch was set to before is set again afterwards."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        if precision == "bf16":
            with torch.autocast(device, torch.bfloat16, cache_enabled=False):
                yield
        else:
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before

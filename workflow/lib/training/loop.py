"""Train many instances of one architecture at once, each as if it were trained alone.

Every instance has its own initialisation, data order and augmentation, all drawn from streams
named after it, so its result does not depend on which instances share its job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import ensemble
from lib.config import Augmentation, Training
from lib.data.images import ImageSplit
from lib.progress import track
from lib.repro import generator, seed_for


@dataclass
class TrainedStack:
    """What training leaves: stacked states [N, ...] and one list entry per instance and column."""

    stack: ensemble.Stack
    columns: dict[str, list] = field(default_factory=dict)


def learning_rate(cfg: Training, epoch: int) -> float:
    """Learning rate of a (0-based) epoch: step decay after the milestones, or half a cosine."""
    if cfg.schedule == "cosine":
        return cfg.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / cfg.epochs))
    return cfg.learning_rate * cfg.decay ** sum(epoch > at for at in cfg.milestones)


def selects(cfg: Training, epoch: int) -> bool:
    """Whether the checkpoint after this (0-based) epoch may be selected."""
    last = epoch == cfg.epochs - 1
    if cfg.checkpoint == "final":
        return last
    since = epoch - cfg.select_from
    return last or (since >= 0 and since % cfg.select_every == 0)


def augment(
    x: Tensor,
    cfg: Augmentation,
    rngs: Sequence[torch.Generator],
    black: Sequence[float] = (0.0,),
) -> Tensor:
    """Random crops of images with a black frame and random flips, one stream per instance.

    `x` is [N, B, C, H, W], and so is the result; `black` is what a black pixel is in it, [C] or
    one value for all channels.
    """
    if cfg.crop_padding:
        pad, (height, width) = cfg.crop_padding, x.shape[-2:]
        frame = torch.tensor(black, device=x.device, dtype=x.dtype)[:, None, None]
        padded = frame.expand(*x.shape[:3], height + 2 * pad, width + 2 * pad).clone()
        padded[..., pad : pad + height, pad : pad + width] = x
        shifts = torch.stack(
            [torch.randint(2 * pad + 1, (2, x.shape[1]), generator=rng) for rng in rngs]
        ).to(x.device)  # [N, 2, B]
        rows = shifts[:, 0, :, None] + torch.arange(height, device=x.device)
        columns = shifts[:, 1, :, None] + torch.arange(width, device=x.device)
        n, b = (torch.arange(k, device=x.device) for k in x.shape[:2])
        x = padded[
            n[:, None, None, None],
            b[None, :, None, None],
            :,
            rows[..., None],
            columns[:, :, None, :],
        ].permute(0, 1, 4, 2, 3)
    if cfg.flip:
        coins = torch.stack([torch.rand(x.shape[1], generator=rng) for rng in rngs]) < 0.5
        x = torch.where(coins.to(x.device)[:, :, None, None, None], x.flip(-1), x)
    return x.contiguous()


class SGD:
    """Stochastic gradient descent with momentum and weight decay on stacked parameters.

    The update of `torch.optim.SGD`, element for element.
    """

    def __init__(self, parameters: list[Tensor], momentum: float, weight_decay: float) -> None:
        """Optimise `parameters` in place."""
        self.parameters, self.momentum, self.weight_decay = parameters, momentum, weight_decay
        self.buffers: list[Tensor] | None = None

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> None:
        """One update with the gradients of `parameters` and a learning rate."""
        if self.weight_decay:
            gradients = torch._foreach_add(gradients, self.parameters, alpha=self.weight_decay)
        if self.momentum:
            if self.buffers is None:
                self.buffers = [gradient.clone() for gradient in gradients]
            else:
                torch._foreach_mul_(self.buffers, self.momentum)
                torch._foreach_add_(self.buffers, gradients)
            gradients = self.buffers
        torch._foreach_add_(self.parameters, gradients, alpha=-rate)


def train(
    build: Callable[[], nn.Module],
    names: Sequence[tuple],
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
    width: int = 10,
) -> TrainedStack:
    """Train one instance per entry of `names` (the names of its random streams).

    Returns the checkpoint of the best validation accuracy (or the last one, by `cfg.checkpoint`)
    of every instance, in eval-mode form, with its metrics. An instance whose loss or state is not
    finite is marked diverged and keeps what was selected before (its initialisation, with
    `selected_epoch` -1 and metrics NaN, if nothing was); the others are not touched by it.

    Args:
        build: makes a fresh module; called once per instance.
        names: the names of each instance's random streams.
        cfg: how to train.
        images: what to train on.
        validation: what checkpoints are selected by.
        width: how many instances run at once. Which kernels run, and so how sums are rounded,
            depends on this number alone: a last, smaller group is filled up with twins.
    """
    groups, latest = [], [math.nan]
    starts = range(0, len(names), width)
    ticks = track(range(cfg.epochs * len(starts)), "epochs", note=lambda: f"loss {latest[0]:.3f}")
    for at in starts:
        group = list(names[at : at + width])
        twins = [group[-1]] * (width - len(group))
        trained = _train_group(build, group + twins, cfg, images, validation, ticks, latest)
        groups.append(
            TrainedStack(
                {name: values[: len(group)] for name, values in trained.stack.items()},
                {name: values[: len(group)] for name, values in trained.columns.items()},
            )
        )
    return TrainedStack(
        {name: torch.cat([group.stack[name] for group in groups]) for name in groups[0].stack},
        {
            name: [value for group in groups for value in group.columns[name]]
            for name in groups[0].columns
        },
    )


def _train_group(
    build: Callable[[], nn.Module],
    names: Sequence[tuple],
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
    ticks: Iterator[int],
    latest: list[float],
) -> TrainedStack:
    """Train instances side by side; an item of `ticks` is taken for each epoch."""
    device, count = images.x.device, len(names)
    module = build().to(device)
    seeds = [seed_for(*name, "init") for name in names]
    state = {k: v.to(device) for k, v in ensemble.init_stack(build, seeds).items()}
    parameters = {k: state[k].requires_grad_() for k, _ in module.named_parameters()}
    optimizer = SGD(list(parameters.values()), cfg.momentum, cfg.weight_decay)
    best = {k: v.detach().clone() for k, v in state.items()}
    best_scores = [-math.inf] * count
    columns: dict[str, list] = {
        "seed": seeds,
        "status": ["ok"] * count,
        "epochs": [cfg.epochs] * count,
        "selected_epoch": [-1] * count,
        "learning_rate": [cfg.learning_rate] * count,
        "momentum": [cfg.momentum] * count,
        "weight_decay": [cfg.weight_decay] * count,
        "batch_size": [cfg.batch_size] * count,
        "diverged_epoch": [-1] * count,
        "train_loss": [math.nan] * count,
        "train_accuracy": [math.nan] * count,
        "validation_loss": [math.nan] * count,
        "validation_accuracy": [math.nan] * count,
    }
    for epoch, _ in zip(range(cfg.epochs), ticks, strict=False):
        losses, hits = _epoch(module, state, optimizer, cfg, names, epoch, images)
        latest[0] = losses.nanmean().item()
        sound = losses.isfinite() & _finite(state)
        selected = selects(cfg, epoch)
        if selected:
            outputs = ensemble.predict(module, state, validation.x)
            scores = ensemble.accuracy(outputs, validation.y).tolist()
            losses_v = F.cross_entropy(
                outputs.transpose(1, 2), validation.y.expand(count, -1), reduction="none"
            ).mean(1)
            sound &= losses_v.isfinite()
        for i, is_sound in enumerate(sound.tolist()):
            if columns["status"][i] == "ok" and not is_sound:
                columns["status"][i], columns["diverged_epoch"][i] = "diverged", epoch
            if not selected or columns["status"][i] != "ok" or scores[i] <= best_scores[i]:
                continue
            best_scores[i] = scores[i]
            columns["selected_epoch"][i] = epoch
            columns["validation_accuracy"][i] = scores[i]
            columns["validation_loss"][i] = losses_v[i].item()
            columns["train_loss"][i] = losses[i].item()
            columns["train_accuracy"][i] = hits[i].item()
            for name, values in state.items():
                best[name][i] = values[i].detach()
    return TrainedStack(best, columns)


def _finite(state: ensemble.Stack) -> Tensor:
    """Whether all values of an instance are finite, [N]."""
    return torch.stack(
        [values.detach().isfinite().reshape(len(values), -1).all(1) for values in state.values()]
    ).all(0)


def _epoch(
    module: nn.Module,
    state: ensemble.Stack,
    optimizer: SGD,
    cfg: Training,
    names: Sequence[tuple],
    epoch: int,
    images: ImageSplit,
) -> tuple[Tensor, Tensor]:
    """One pass over the images; mean loss and accuracy [N] of each instance while training."""
    orders = torch.stack(
        [
            torch.randperm(len(images.y), generator=generator(*name, "order", epoch))
            for name in names
        ]
    ).to(images.x.device)
    rngs = [generator(*name, "augmentation", epoch) for name in names]
    rate, count = learning_rate(cfg, epoch), orders.shape[1]
    loss_sum = torch.zeros(len(names), device=images.x.device)
    hit_sum = torch.zeros_like(loss_sum)
    for chosen in orders.split(cfg.batch_size, 1):
        x, y = augment(images.x[chosen], cfg.augmentation, rngs, images.black), images.y[chosen]
        outputs = ensemble.run(module, state, x)
        losses = F.cross_entropy(outputs.transpose(1, 2), y, reduction="none").mean(1)
        optimizer.step(torch.autograd.grad(losses.sum(), optimizer.parameters), rate)
        loss_sum += losses.detach() * chosen.shape[1]
        hit_sum += (outputs.detach().argmax(-1) == y).sum(1)
    return loss_sum / count, hit_sum / count

"""The training loop: who trains in which epoch, which checkpoint is kept, who has diverged.

Every instance has its own hyperparameters, initialisation, data order and augmentation, all drawn
from streams named after it, so its result does not depend on which instances share its job.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lib import ensemble
from lib.config import Training
from lib.data.images import ImageSplit
from lib.errors import InputError
from lib.progress import track
from lib.repro import seed_for
from lib.training.backend import Backend, Engine, Rates, backend
from lib.training.memory import group_size
from lib.training.recipe import Recipe, plan_epoch, selects

METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


class ModuleError(InputError):
    """A module cannot be trained as one of many."""


@dataclass
class TrainedStack:
    """What training leaves, one row for each kept checkpoint.

    Attributes:
        stack: States [rows, ...]: the selected one of every instance in order, then the snapshots
            (`Training.snapshots`), if any, by number of epochs.
        columns: What is known of each row. `instance` is its place among the instances;
            `checkpoint_epoch` is -1 for a selected state, else the number of epochs that had
            passed; `selected_epoch` is the (0-based) epoch after which a row's state was taken,
            -1 for an initialisation; `train_curve` is a JSON list: the share of training images
            predicted right, while weights moved, in each epoch (of a snapshot: up to it).
        engine: What computed it (`Engine.record`).
    """

    stack: ensemble.Stack
    columns: dict[str, list] = field(default_factory=dict)
    engine: dict[str, str | int] = field(default_factory=dict)


def train(
    build: Callable[[], nn.Module],
    names: Sequence[tuple],
    cfg: Training,
    images: ImageSplit,
    validation: ImageSplit,
    engine: Engine = Engine(),  # noqa: B008 (frozen)
) -> TrainedStack:
    """Train one instance per entry of `names` (the names of its random streams).

    Returns the checkpoint of the best validation accuracy (or the last one, by `cfg.checkpoint`)
    of every instance with its metrics, and the snapshots that `cfg` asks for. An instance whose
    loss or state is not finite is marked diverged, is not trained further, and keeps what was
    selected before (its initialisation, with `selected_epoch` -1 and metrics NaN, if nothing was);
    the others are not touched by it.

    Args:
        build: makes a fresh module; called once per instance.
        names: the names of each instance's random streams.
        cfg: how to train.
        images: what to train on.
        validation: what checkpoints are selected by.
        engine: what computes the steps, and the memory it may take. With vmap, which kernels run,
            and so how sums are rounded, depends on its width: a last, smaller group is filled up
            with twins.

    Raises:
        ModuleError: the module has parameters that cannot be trained side by side.
        MemoryPlanError: too few instances fit into `engine.max_memory`; raised before any work.
    """
    _check(build())
    size = group_size(build, len(names), cfg, images, validation, engine)
    rows, latest = [], [math.nan]
    recipes = [Recipe.of(cfg, name) for name in names]
    cuts = [slice(at, at + size) for at in range(0, len(names), size)]
    epochs = sum(max(recipe.epochs for recipe in recipes[cut]) for cut in cuts)
    ticks = track(range(epochs), "epochs", note=lambda: f"loss {latest[0]:.3f}")
    for cut in cuts:
        group = _Group(build, names[cut], recipes[cut], cfg, images, validation, engine)
        for _ in zip(range(max(recipe.epochs for recipe in recipes[cut])), ticks, strict=False):
            latest[0] = group.epoch()
        rows += [({"instance": cut.start + i} | c, state) for i, c, state in group.rows()]
    rows.sort(key=lambda row: row[0]["checkpoint_epoch"])  # keeps the order of instances
    return TrainedStack(
        ensemble.stack_states(state for _, state in rows),
        {name: [columns[name] for columns, _ in rows] for name in rows[0][0]},
        engine.record(images.x.device.type),
    )


def _check(module: nn.Module) -> None:
    shared = set(dict(module.named_parameters(remove_duplicate=False))) - set(
        dict(module.named_parameters())
    )
    frozen = [name for name, p in module.named_parameters() if not p.requires_grad]
    for names, what in ((sorted(shared), "shared between layers"), (frozen, "frozen")):
        if names:
            raise ModuleError(
                f"{type(module).__name__} cannot be trained as one of many: its parameter "
                f"{names[0]} is {what}"
            )


class _Group:
    """Instances that train side by side, and the checkpoints kept of them."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        names: Sequence[tuple],
        recipes: Sequence[Recipe],
        cfg: Training,
        images: ImageSplit,
        validation: ImageSplit,
        engine: Engine,
    ) -> None:
        self.names, self.recipes, self.cfg = names, recipes, cfg
        self.images, self.validation = images, validation
        self.seeds = [seed_for(*name, "init") for name in names]
        module, stack = build(), ensemble.init_stack(build, self.seeds)
        _scale(module, stack, [recipe.init_scale for recipe in recipes])
        rates = {f.name: [getattr(recipe, f.name) for recipe in recipes] for f in fields(Rates)}
        rates = Rates(**{name: np.array(values, np.float64) for name, values in rates.items()})
        self.backend: Backend = backend(engine)(module, stack, cfg, rates, images)
        self.done = 0  # epochs
        self.diverged = np.full(len(names), -1)
        self.curves: list[list[float | None]] = [[] for _ in names]
        self.best = _Kept(self.backend.stack, len(names))
        self.snapshots: dict[int, _Kept] = {}
        self._snapshot(list(range(len(names))), self.best.metrics)

    def epoch(self) -> float:
        """Train all that still have to; their mean loss."""
        who = [
            i
            for i, recipe in enumerate(self.recipes)
            if self.done < recipe.epochs and self.diverged[i] < 0
        ]
        if not who:
            return math.nan
        recipes = {i: self.recipes[i] for i in who}
        count, epoch = len(self.images.y), self.done
        losses, hits = self.backend.epoch(plan_epoch(self.cfg, recipes, self.names, epoch, count))
        self.done += 1
        sound = np.isfinite(losses) & _finite(self.backend.stack)[who]
        metrics = np.full((len(self.names), len(METRICS)), np.nan)
        metrics[who, 0], metrics[who, 1] = losses, hits
        for i, hit in zip(who, np.round(hits, 4).tolist(), strict=True):
            self.curves[i].append(hit if math.isfinite(hit) else None)
        self.diverged[np.array(who)[~sound]] = epoch
        selected = {i for i in who if selects(self.cfg, self.recipes[i], epoch)}
        judged = [
            i
            for i in who
            if self.diverged[i] < 0 and (i in selected or self.done in self.cfg.snapshots)
        ]
        if judged:
            metrics[judged, 2:] = self._validate(judged)
            self.diverged[[i for i in judged if not math.isfinite(metrics[i, 2])]] = epoch
        judged = [i for i in judged if self.diverged[i] < 0]
        better = [i for i in judged if i in selected and not metrics[i, 3] <= self.best.score[i]]
        self.best.take(better, self.backend.stack, epoch, metrics)
        self._snapshot(judged, metrics)
        return float(losses[sound].mean()) if sound.any() else math.nan

    def rows(self) -> Iterator[tuple[int, dict[str, Any], ensemble.Stack]]:
        """All that is kept, the best of each instance, then snapshots: place, columns, state."""
        sgd = self.cfg.optimizer == "sgd"
        for number, kept in [(-1, self.best), *self.snapshots.items()]:
            for i, recipe in enumerate(self.recipes):
                if not kept.there[i]:
                    continue
                columns = {
                    "seed": self.seeds[i],
                    "status": "ok" if self.diverged[i] < 0 else "diverged",
                    "epochs": recipe.epochs,
                    "selected_epoch": int(kept.epoch[i]),
                    "checkpoint_epoch": number,
                    "learning_rate": recipe.learning_rate,
                    "momentum": recipe.momentum if sgd else math.nan,
                    "weight_decay": recipe.weight_decay,
                    "label_smoothing": recipe.label_smoothing,
                    "init_scale": recipe.init_scale,
                    "batch_size": self.cfg.batch_size,
                    "diverged_epoch": int(self.diverged[i]),
                    "train_curve": json.dumps(self.curves[i][: number if number >= 0 else None]),
                    **dict(zip(METRICS, kept.metrics[i].tolist(), strict=True)),
                }
                yield i, columns, ensemble.select(kept.stack, i)

    def _snapshot(self, who: list[int], metrics: np.ndarray) -> None:
        if self.done in self.cfg.snapshots:
            kept = self.snapshots[self.done] = _Kept(self.backend.stack, len(self.names))
            kept.there[:] = False
            kept.take(who, self.backend.stack, self.done - 1, metrics)

    def _validate(self, who: list[int]) -> np.ndarray:
        """Mean loss and accuracy [K, 2] of some instances on the validation images."""
        outputs, labels = self.backend.outputs(who, self.validation.x), self.validation.y
        losses = F.cross_entropy(outputs.flatten(0, 1), labels.repeat(len(who)), reduction="none")
        losses = losses.unflatten(0, outputs.shape[:2]).mean(1)
        both = torch.stack([losses.double(), ensemble.accuracy(outputs, labels).double()], 1)
        return both.cpu().numpy()


class _Kept:
    """One checkpoint of each of N instances, to begin with what they are now."""

    def __init__(self, stack: ensemble.Stack, count: int) -> None:
        self.stack = {name: values.detach().clone() for name, values in stack.items()}
        self.there = np.ones(count, bool)
        self.epoch = np.full(count, -1)
        self.metrics = np.full((count, len(METRICS)), np.nan)

    @property
    def score(self) -> np.ndarray:
        """Validation accuracy [N]; NaN where none has been measured."""
        return self.metrics[:, METRICS.index("validation_accuracy")]

    def take(self, who: list[int], stack: ensemble.Stack, epoch: int, metrics: np.ndarray) -> None:
        """Keep what some instances are now, after a (0-based) epoch, with their metrics [N, 4]."""
        for name, values in stack.items():
            self.stack[name][who] = values[who].detach()
        self.there[who], self.epoch[who], self.metrics[who] = True, epoch, metrics[who]


def _scale(module: nn.Module, stack: ensemble.Stack, factors: Sequence[float]) -> None:
    """Multiply the weights (parameters of two or more axes) of each instance by its factor."""
    for name, parameter in module.named_parameters():
        if parameter.ndim >= 2:
            column = torch.tensor(factors, dtype=parameter.dtype)
            stack[name].mul_(column.reshape(-1, *[1] * parameter.ndim))


def _finite(stack: ensemble.Stack) -> np.ndarray:
    """Whether all values of an instance are finite, bool [N]."""
    parts = [
        values.detach().isfinite().reshape(len(values), -1).all(1) for values in stack.values()
    ]
    return torch.stack(parts).all(0).cpu().numpy()

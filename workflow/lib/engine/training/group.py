"""Instances that train side by side: who trains in which epoch, what is kept, who has diverged."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lib.config import Training
from lib.core.checkpoint import State, Tensors
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.training.backend import Backend, Engine, EpochPlan
from lib.engine.training.backends import backend
from lib.engine.training.recipe import Recipe, plan_epoch, rates_of, selects

# An epoch is trained in parts, of so many steps at most, between which a checkpoint may be saved.
# Where instances train one after the other, some short epochs of as few steps together are one.
STEPS, FEW = 64, 256
METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


class Group:
    """Instances that train side by side, and the checkpoints kept of them."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        streams: Sequence[Stream],
        recipes: Sequence[Recipe],
        cfg: Training,
        images: ImageSplit,
        validation: ImageSplit,
        engine: Engine,
    ) -> None:
        self.streams, self.recipes, self.cfg = streams, recipes, cfg
        self.images, self.validation = images, validation
        self.seeds = [stream.of("init").seed for stream in streams]
        module, stack = build(), ensemble.init_stack(build, self.seeds)
        _scale(module, stack, [recipe.init_scale for recipe in recipes])
        rates = rates_of(recipes, streams)
        self.backend: Backend = backend(engine)(module, stack, cfg, rates, images)
        self.done = 0  # epochs
        self.parts, self.steps = 0, np.zeros((2, 0, 0))  # of the epoch under way: loss, hits
        self.diverged = np.full(len(streams), -1)
        self.curves: list[list[float | None]] = [[] for _ in streams]
        self.best = Kept(self.backend.stack, len(streams))
        self.snapshots: dict[int, Kept] = {}
        self._snapshot(list(range(len(streams))), self.best.metrics)

    def epoch(self, keep: Callable[[], None]) -> float:
        """Train all that still have to; their mean loss. `keep` is called between the parts."""
        who = [
            i
            for i, recipe in enumerate(self.recipes)
            if self.done < recipe.epochs and self.diverged[i] < 0
        ]
        if not who:
            return math.nan
        recipes = {i: self.recipes[i] for i in who}
        count, epoch = len(self.images.y), self.done
        losses, hits = self._train(plan_epoch(self.cfg, recipes, self.streams, epoch, count), keep)
        self.done += 1
        sound = np.isfinite(losses) & _finite(self.backend.stack)[who]
        metrics = np.full((len(self.streams), len(METRICS)), np.nan)
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

    def _train(self, plan: EpochPlan, keep: Callable[[], None]) -> tuple[np.ndarray, np.ndarray]:
        """One epoch, in parts: mean loss [K] and accuracy [K] of the training steps."""
        count, batch = plan.order.shape[1], self.cfg.batch_size
        sizes = np.minimum(batch, count - np.arange(0, count, batch))
        together = len(plan.who) if self.backend.together else max(1, FEW // len(sizes))
        if self.parts == 0:
            self.steps = np.zeros((2, len(plan.who), len(sizes)))
        parts = product(range(0, len(plan.who), together), range(0, len(sizes), STEPS))
        for first, step in list(parts)[self.parts :]:
            rows, steps = slice(first, first + together), slice(step, step + STEPS)
            images = slice(step * batch, (step + STEPS) * batch)
            self.steps[:, rows, steps] = self.backend.epoch(plan.part(rows, images))
            self.parts += 1
            keep()
        self.parts = 0
        losses, hits = self.steps
        return (losses * sizes).sum(1) / count, hits.sum(1) / count

    def state(self) -> State:
        """All that the rest of the training depends on."""
        kept = {-1: self.best, **self.snapshots}
        tensors = {f"held/{name}": values for name, values in self.backend.held.items()}
        tensors |= {"diverged": torch.from_numpy(self.diverged)}
        tensors |= {"steps": torch.from_numpy(self.steps)}
        for number, one in kept.items():
            tensors |= {f"kept/{number}/{name}": values for name, values in one.tensors().items()}
        return tensors, {
            "done": self.done,
            "parts": self.parts,
            "curves": self.curves,
            "kept": list(kept),
        }

    def restore(self, tensors: Tensors, data: Any) -> None:
        """Take over a state that `state` gave."""
        for name, values in self.backend.held.items():
            values.copy_(tensors[f"held/{name}"])
        self.diverged, self.steps = tensors["diverged"].numpy(), tensors["steps"].numpy()
        self.done, self.parts, self.curves = data["done"], data["parts"], data["curves"]
        self.snapshots = {}
        for number in data["kept"]:
            kept = Kept(self.backend.stack, len(self.streams))
            for name, values in kept.tensors().items():
                values.copy_(tensors[f"kept/{number}/{name}"])
            if number < 0:
                self.best = kept
            else:
                self.snapshots[number] = kept

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
            kept = self.snapshots[self.done] = Kept(self.backend.stack, len(self.streams))
            kept.there[:] = False
            kept.take(who, self.backend.stack, self.done - 1, metrics)

    def _validate(self, who: list[int]) -> np.ndarray:
        """Mean loss and accuracy [K, 2] of some instances on the validation images."""
        outputs, labels = self.backend.outputs(who, self.validation.x), self.validation.y
        losses = F.cross_entropy(outputs.flatten(0, 1), labels.repeat(len(who)), reduction="none")
        losses = losses.unflatten(0, outputs.shape[:2]).mean(1)
        both = torch.stack([losses.double(), ensemble.accuracy(outputs, labels).double()], 1)
        return both.cpu().numpy()


class Kept:
    """One checkpoint of each of N instances, to begin with what they are now."""

    def __init__(self, stack: ensemble.Stack, count: int) -> None:
        self.stack = {name: values.detach().clone() for name, values in stack.items()}
        self.there = np.ones(count, bool)
        self.epoch = np.full(count, -1)
        self.metrics = np.full((count, len(METRICS)), np.nan)

    def tensors(self) -> Tensors:
        """All of it, as tensors that share its memory."""
        arrays = {"there": self.there, "epoch": self.epoch, "metrics": self.metrics}
        return {f"stack/{name}": values for name, values in self.stack.items()} | {
            name: torch.from_numpy(values) for name, values in arrays.items()
        }

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

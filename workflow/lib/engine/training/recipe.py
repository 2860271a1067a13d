"""What an instance is trained with: its own hyperparameters, its schedule and its random draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from lib.config import Drawn, Training
from lib.core.streams import Stream
from lib.engine.training.backend import EpochPlan, Rates


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one instance; what they mean is said by `lib.config.Training`."""

    epochs: int
    learning_rate: float
    momentum: float
    weight_decay: float
    label_smoothing: float
    init_scale: float

    @classmethod
    def of(cls, cfg: Training, stream: Stream) -> Recipe:
        """The recipe of the instance that draws from `stream`.

        Each number that is drawn comes from the stream called after its key; those that are taken
        in turn go by the instance's number, the last name of `stream`.
        """
        return cls(**{f.name: _drawn(getattr(cfg, f.name), stream, f.name) for f in fields(cls)})


def rates_of(recipes: Sequence[Recipe], streams: Sequence[Stream]) -> Rates:
    """What the backend is told of N instances: their hyperparameters, and what they draw from."""
    names = [field.name for field in fields(Recipe) if field.name in Rates.__dataclass_fields__]
    numbers = {name: [getattr(recipe, name) for recipe in recipes] for name in names}
    return Rates(
        **{name: np.array(values, np.float64) for name, values in numbers.items()},
        streams=np.array([stream.of("dropout").seed for stream in streams]),
    )


def _drawn(setting: float | Drawn, stream: Stream, key: str) -> float:
    """A number of a setting; an integer if the setting's numbers are, bounds included."""
    if not isinstance(setting, Drawn):
        return setting
    if setting.in_turn is not None:
        return setting.in_turn[stream.names[-1] % len(setting.in_turn)]
    share = torch.rand((), generator=stream.of(key).torch(), dtype=torch.float64).item()
    if setting.choices is not None:
        return setting.choices[int(share * len(setting.choices))]
    low, high = setting.bounds
    whole = isinstance(low, int)
    top = high + 1 if whole else high
    if setting.uniform is not None:
        value = low + share * (top - low)
    else:
        value = math.exp(math.log(low) + share * (math.log(top) - math.log(low)))
    return min(max(int(value) if whole else value, low), high)


def learning_rate(cfg: Training, recipe: Recipe, epoch: int) -> float:
    """Learning rate of a (0-based) epoch: constant, falling after milestones, or half a cosine."""
    if cfg.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / recipe.epochs))
    if cfg.schedule == "step":
        return recipe.learning_rate * cfg.decay ** sum(epoch > at for at in cfg.milestones)
    return recipe.learning_rate


def selects(cfg: Training, recipe: Recipe, epoch: int) -> bool:
    """Whether the checkpoint after this (0-based) epoch may be selected."""
    last = epoch == recipe.epochs - 1
    if cfg.checkpoint == "final":
        return last
    since = epoch - cfg.select_from
    return last or (since >= 0 and since % cfg.select_every == 0)


def plan_epoch(
    cfg: Training,
    recipes: Mapping[int, Recipe],
    streams: Sequence[Stream],
    epoch: int,
    count: int,
) -> EpochPlan:
    """The plan of one epoch over `count` images.

    Args:
        cfg: how the zoo is trained.
        recipes: of the instances that train in this epoch, by their number in the backend.
        streams: of all instances of the backend; order, crops and flips are drawn from
            `stream.of("order" | "crop" | "flip", epoch)`.
        epoch: 0-based.
        count: number of images.
    """
    who = list(recipes)
    pad = cfg.augmentation.crop_padding

    def draw(purpose, how):
        return np.stack([how(streams[i].of(purpose, epoch).torch()).numpy() for i in who])

    return EpochPlan(
        who,
        draw("order", lambda rng: torch.randperm(count, generator=rng)),
        np.array([learning_rate(cfg, recipe, epoch) for recipe in recipes.values()]),
        draw("crop", lambda rng: torch.randint(2 * pad + 1, (count, 2), generator=rng))
        if pad
        else None,
        draw("flip", lambda rng: torch.rand(count, generator=rng) < 0.5)
        if cfg.augmentation.flip
        else None,
    )

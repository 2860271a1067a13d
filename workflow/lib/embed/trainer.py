"""Train an embedder: steps of Adam on an objective, and the checkpoint that is best at it kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor

from lib.config import Embedding
from lib.embed.arm import Arm, EmbedderError
from lib.progress import track
from lib.repro import atomic, generator

WARM_UP = 50  # steps
LOG_EVERY = 50  # steps


@dataclass
class Curves:
    """Losses and validation scores while training, as rows (step, name, value)."""

    rows: list[tuple[int, str, float]] = field(default_factory=list)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Note values at a (1-based) step."""
        self.rows += [(step, name, float(value)) for name, value in values.items()]

    def save(self, path: str | Path) -> None:
        """Write the rows as the table `losses.csv`."""
        table = pd.DataFrame(self.rows, columns=["step", "name", "value"])
        with atomic(path) as temporary:
            table.to_csv(temporary, index=False)


class Objective(Protocol):
    """What an embedder is trained for."""

    def parts(self, rng: torch.Generator) -> dict[str, Tensor]:
        """The parts of the loss for one batch, drawn with `rng`; `LossWeights` weighs them."""

    def validate(self) -> dict[str, float]:
        """Scores on held-out networks, by the names that the curves give them."""

    def score(self, found: Mapping[str, float]) -> float:
        """What the kept checkpoint is best at, from those scores: the higher the better."""


def fit(arm: Arm, names: tuple, objective: Objective) -> Curves:
    """Train `arm` in place and leave it at its best checkpoint by the objective's score.

    Args:
        arm: a prepared arm; its config says how it is trained.
        names: names of its random streams; each step draws from one of its own.
        objective: what it is trained for.

    Raises:
        EmbedderError: the loss is not finite.
    """
    cfg: Embedding = arm.cfg
    optimizer = torch.optim.Adam(
        [p for p in arm.parameters() if p.requires_grad], lr=cfg.learning_rate, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: pace(cfg, step))
    curves, best, best_score, latest = Curves(), None, -math.inf, [math.nan]
    for step in track(range(cfg.steps), "steps", note=lambda: f"loss {latest[0]:.3f}"):
        parts = objective.parts(generator(*names, "step", step))
        loss = sum(getattr(cfg.weights, name) * part for name, part in parts.items())
        optimizer.zero_grad()
        loss.backward()
        if cfg.clip:
            torch.nn.utils.clip_grad_norm_(arm.parameters(), cfg.clip)
        optimizer.step()
        schedule.step()
        latest[0], done = loss.item(), step + 1
        if not math.isfinite(latest[0]):
            raise EmbedderError(
                f"the embedder's loss is not finite at step {done}; lower embedder.learning_rate"
            )
        if done % LOG_EVERY == 0 or done == 1:
            curves.add(done, {"loss": latest[0], **{k: v.item() for k, v in parts.items()}})
        if done % cfg.select_every == 0 or done == cfg.steps:
            found = objective.validate()
            curves.add(done, found)
            if (reached := objective.score(found)) > best_score:
                best, best_score = copy.deepcopy(arm.state_dict()), reached
                curves.add(done, {"selected": best_score})
    arm.load_state_dict(best)
    return curves


def pace(cfg: Embedding, step: int) -> float:
    """Factor on the learning rate at a (0-based) step."""
    if cfg.schedule == "constant":
        return 1.0
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / cfg.steps))

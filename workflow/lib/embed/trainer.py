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
from lib.core.atomic import atomic
from lib.core.checkpoint import NOWHERE, Checkpoint, State
from lib.core.progress import log, track
from lib.core.streams import Stream
from lib.embed.arm import EMBEDDER, Arm, SettingError

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


@dataclass
class Run:
    """Training under way: all that the next step depends on, beside the config and the data."""

    arm: Arm
    optimizer: torch.optim.Optimizer
    curves: Curves = field(default_factory=Curves)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_score: float = -math.inf
    done: int = 0  # steps

    def _live(self) -> dict[str, Tensor]:
        """What a step changes of the arm, by name: parameters and all buffers."""
        return dict(self.arm.named_parameters()) | dict(self.arm.named_buffers())

    def state(self) -> State:
        """The state as tensors, and as plain data."""
        held = self.optimizer.state_dict()["state"]
        tensors = {f"arm/{name}": value for name, value in self._live().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= {f"adam/{i}/{k}": v for i, own in held.items() for k, v in own.items()}
        return tensors, {
            "done": self.done,
            "best_score": self.best_score,
            "curves": self.curves.rows,
        }

    def restore(self, state: State) -> None:
        """Take over a state that `state` gave."""
        tensors, data = state
        groups: dict[str, dict[str, Tensor]] = {"arm": {}, "best": {}}
        held: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            group, _, rest = name.partition("/")
            if group == "adam":
                number, _, key = rest.partition("/")
                held.setdefault(int(number), {})[key] = value
            else:
                groups[group][rest] = value
        with torch.no_grad():
            for name, value in self._live().items():
                value.copy_(groups["arm"][name])
        device = next(self.arm.parameters()).device
        self.best = {name: value.to(device) for name, value in groups["best"].items()}
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": held})
        self.done, self.best_score = data["done"], data["best_score"]
        self.curves.rows = [tuple(row) for row in data["curves"]]


def fit(
    arm: Arm,
    stream: Stream,
    objective: Objective,
    checkpoint: Checkpoint = NOWHERE,
    where: str = EMBEDDER,
) -> Curves:
    """Train `arm` in place and leave it at its best checkpoint by the objective's score.

    Args:
        arm: a prepared arm; its config says how it is trained.
        stream: each step draws from streams of its own below it.
        objective: what it is trained for.
        checkpoint: where the state is saved now and then, and taken from if it is there already;
            that changes no bit of what comes out.
        where: the place of the arm's block in the config, for messages.

    Raises:
        SettingError: the loss is not finite.
    """
    cfg: Embedding = arm.cfg
    optimizer = torch.optim.Adam([p for p in arm.parameters() if p.requires_grad], fused=True)
    run, latest = Run(arm, optimizer), [math.nan]
    if state := checkpoint.load():
        run.restore(state)
        log.info("resumed after step %d of %d", run.done, cfg.steps)
    steps = range(run.done, cfg.steps)
    for arm.step in track(steps, "steps", note=lambda: f"loss {latest[0]:.3f}"):
        torch.manual_seed(stream.of("torch", arm.step).seed)  # an arm may draw by itself
        parts = objective.parts(stream.of("step", arm.step).torch())
        loss = sum(getattr(cfg.weights, name) * part for name, part in parts.items())
        optimizer.zero_grad()
        if loss.requires_grad:  # not if networks were drawn that no part of the loss is about
            loss.backward()
        if cfg.clip:
            torch.nn.utils.clip_grad_norm_(arm.parameters(), cfg.clip)
        for group in optimizer.param_groups:
            group["lr"] = cfg.learning_rate * pace(cfg, arm.step)
        optimizer.step()
        latest[0], run.done = loss.item(), arm.step + 1
        if not math.isfinite(latest[0]):
            raise SettingError(
                "learning_rate", f"must be lower: the loss is not finite at step {run.done}", where
            )
        if run.done % LOG_EVERY == 0 or run.done == 1:
            values = {name: part.item() for name, part in parts.items()}
            run.curves.add(run.done, {"loss": latest[0], **values})
        if run.done % cfg.select_every == 0 or run.done == cfg.steps:
            _select(run, objective)
        checkpoint.offer(run.state)
    arm.load_state_dict(run.best)
    return run.curves


def _select(run: Run, objective: Objective) -> None:
    """Keep the arm as it is now if it is better than ever."""
    found = objective.validate()
    run.curves.add(run.done, found)
    if (reached := objective.score(found)) > run.best_score:
        run.best, run.best_score = copy.deepcopy(run.arm.state_dict()), reached
        run.curves.add(run.done, {"selected": reached})


def pace(cfg: Embedding, step: int) -> float:
    """Factor on the learning rate at a (0-based) step."""
    if cfg.schedule == "constant":
        return 1.0
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / cfg.steps))

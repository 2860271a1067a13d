"""What experiments are given, made from the study in miniature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.core.streams import Stream
from lib.experiments.task import Task, Zoo


def task(
    toy, experiment: str, zoo: Mapping[str, Zoo] | None = None, seed: int = 3, **more: Any
) -> Task:
    """A task on the toy's networks, or others by split and architecture; one embedder `seed`."""
    zoo = zoo or toy.zoo
    return Task(
        architectures=tuple(zoo["train"]),
        zoo=zoo,
        images={"train": toy.images, "validation": toy.validation, "test": toy.test},
        embedders={seed: toy.embedder},
        stream=Stream("space", 0, "toy", experiment),
        seed=0,
        **more,
    )

"""Networks of one architecture from chance to good, for tests of experiments."""

from __future__ import annotations

import pandas as pd
import torch

from lib.engine import ensemble
from lib.zoo.population import Population

NAME = "ResNet8"


def zoo(toy) -> dict[str, Population]:
    """ResNets from chance to good: good ones with more and more noise on their weights."""
    known, splits = toy.zoo["train"][NAME], {}
    for number, (split, count) in enumerate({"train": 15, "validation": 6, "test": 9}.items()):
        rng = torch.Generator().manual_seed(number)
        noise = torch.randn(count, known.flat.shape[1], generator=rng) * known.spread()
        level = torch.linspace(0, 1.5, count)[:, None]
        flat = known.flat[torch.arange(count) % 3] + level * noise
        accuracy = ensemble.accuracy(known.family.predict(flat, toy.validation.x), toy.validation.y)
        frame = pd.DataFrame(
            {
                "network": [f"{split}-{i}" for i in range(count)],
                "validation_accuracy": accuracy.double().numpy(),
                "epochs": [1 + count - i for i in range(count)],
                "learning_rate": 0.1,
            }
        )
        splits[split] = Population(known.family, frame, flat)
    return splits

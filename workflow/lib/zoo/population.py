"""The zoo as later steps need it: per architecture the rows and flat weights of its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from lib.core.errors import InputError
from lib.data.images import ImageSplit
from lib.engine.family import Family
from lib.zoo.store import Catalogue


class PopulationError(InputError):
    """A zoo has no network left of those that are asked for."""


@dataclass(frozen=True)
class Population:
    """Networks of one architecture and split: catalogue rows and weights [n, P]."""

    family: Family
    frame: pd.DataFrame
    flat: Tensor

    @property
    def names(self) -> list[str]:
        """Network ids, in order."""
        return self.frame["network"].tolist()

    @property
    def scores(self) -> Tensor:
        """Validation accuracies [n]."""
        return torch.tensor(self.frame["validation_accuracy"].to_numpy(), dtype=torch.float32)

    def first(self, count: int | None) -> Population:
        """The first `count` of them, or all."""
        return Population(self.family, self.frame[:count], self.flat[:count])

    def best(self) -> Tensor:
        """Weights [P] of the network of best validation accuracy."""
        return self.flat[self.scores.argmax()]

    def spread(self) -> Tensor:
        """For each parameter [P] the standard deviation of its layer's over all networks.

        A layer here is one weight or one bias; where all is the same, tiny and not zero.
        """
        spread = torch.empty_like(self.flat[0])
        for entry in self.family.layout.entries:
            place = slice(entry.offset, entry.offset + entry.size)
            spread[place] = self.flat[:, place].std(correction=0).clamp_min(1e-6)
        return spread

    def outputs(self, images: ImageSplit) -> Tensor:
        """Logits [n, images, classes] of every network."""
        return self.family.predict(self.flat, images.x)


def load(
    catalogue: Catalogue, architectures: Sequence[str], split: str, images: ImageSplit, zoo: str
) -> dict[str, Population]:
    """The healthy networks of a split, by architecture in class order.

    Args:
        catalogue: of the zoo.
        architectures: which of it.
        split: train, validation or test.
        images: of the kind the networks are for.
        zoo: the zoo's name in the config, for messages.

    Raises:
        PopulationError: an architecture has none; all of them diverged.
    """
    channels, size = images.x.shape[1:3]
    found = {}
    for name in architectures:
        frame = catalogue.select(name, split)
        if frame.empty:
            raise PopulationError(
                f"no {split} network of {name} is left, all have diverged; lower "
                f"zoos.{zoo}.training.learning_rate"
            )
        family = Family.of(name, channels, size, len(images.classes))
        family.module.to(images.x.device)
        flat = torch.from_numpy(catalogue.weights(frame)).to(images.x.device)
        found[name] = Population(family, frame, flat)
    return found


def flats(populations: Mapping[str, Population]) -> dict[str, Tensor]:
    """The weights alone."""
    return {name: population.flat for name, population in populations.items()}

"""What our arms share: a place in the latent for the architecture, and a low-rank hypernetwork.

The decoder writes each weight as a learnt base plus a combination, given by the latent, of learnt
directions for that layer, row and place. The base starts at the best training network, and what is
learnt is in units of each layer's spread over the training networks. An arm of this family says
what its encoder observes of a network, and how it reads that.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lib.config import Embedding
from lib.embed.arm import Arm
from lib.embed.measures import LEAST, layer_spread
from lib.engine.family import Family

HEAD_WIDTH = 64
PLACE = 8  # numbers of a latent that say which architecture it is; the others say which network
APART = 4.0  # spread of the places; architectures lie further apart than networks of one of them


class LowRank(Arm):
    """One latent of `cfg.latent` numbers for every architecture: its place, then the individual."""

    class Options(Arm.Options):
        """See `Arm.Options`."""

        normalize: Literal["layer", "network"] = Field(
            "layer",
            description="what is brought to unit spread: each weight and bias, or whole networks",
        )

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`."""
        super().__init__(families, cfg, image, classes)
        self.scale, self.base, self.directions = (nn.ParameterDict() for _ in range(3))
        for name, family in families.items():
            size = family.layout.size
            self.scale[name] = fixed(size)
            self.base[name] = nn.Parameter(torch.zeros(size))
            self.directions[name] = nn.Parameter(torch.randn(cfg.rank, size) * 0.3 / cfg.rank**0.5)
        self.place = nn.Parameter(APART * torch.randn(len(families), PLACE))
        self.trunk = nn.Linear(cfg.latent, cfg.rank)
        self.head = nn.Sequential(
            nn.Linear(PLACE, HEAD_WIDTH), nn.GELU(), nn.Linear(HEAD_WIDTH, len(families))
        )

    @abstractmethod
    def read(self, architecture: str, seen: Tensor) -> Tensor:
        """The individual [n, D - PLACE] in what was observed [n, ...], of any scale."""

    @torch.no_grad()
    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Take the scale of each layer and the base to start from."""
        for name, flat in networks.items():
            if self.options.normalize == "layer":
                self.scale[name].copy_(layer_spread(flat, self.families[name].layout))
            else:
                self.scale[name].fill_(flat.std().clamp_min(LEAST))
            self.base[name].copy_(flat[scores[name].argmax()] / self.scale[name])

    def embed(self, architecture: str, seen: Tensor) -> Tensor:
        """See `Arm`."""
        place = self.place[list(self.families).index(architecture)]
        individual = self.read(architecture, seen)
        individual = F.layer_norm(individual, individual.shape[-1:])
        return torch.cat([place.expand(len(seen), -1), individual], -1)

    def classify(self, latent: Tensor) -> Tensor:
        """See `Arm`; only the place is read.

        A head that reads the rest learns the training networks by heart and gets new ones wrong.
        """
        return self.head(latent[..., :PLACE])

    def decode(self, architecture: str, latent: Tensor) -> Tensor:
        """See `Arm`."""
        change = self.trunk(latent) @ self.directions[architecture]
        return (self.base[architecture] + change) * self.scale[architecture]

    def perturb(self, architecture: str, flat: Tensor, rng: torch.Generator) -> Tensor:
        """Add noise to the weights, up to `cfg.weight_noise` times the spread of each layer.

        Every perturbed network is another individual for the space to keep.
        """
        if not self.cfg.weight_noise:
            return flat
        level = self.cfg.weight_noise * torch.rand(len(flat), 1, generator=rng)
        noise = level * torch.randn(flat.shape, generator=rng)
        return flat + noise.to(flat.device) * self.scale[architecture]


def fixed(size: int) -> nn.Parameter:
    """A parameter that is taken from the training networks, never trained."""
    return nn.Parameter(torch.zeros(size), requires_grad=False)

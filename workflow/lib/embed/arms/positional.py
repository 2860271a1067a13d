"""A decoder that writes a network row by row, from the latent and where the row belongs.

The encoder is that of `probing`. One small network, shared by all rows of all architectures, turns
the latent and a learnt position into the weights of a token (as in positional hypernetworks).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from lib.config import Embedding
from lib.config.types import Count
from lib.embed.arm import arm
from lib.embed.arms.probing import Probing
from lib.embed.rows import Rows
from lib.engine.family import Family


@arm("positional")
class Positional(Probing):
    """Decodes tokens from their positions and the latent."""

    class Options(Probing.Options):
        """See `Arm.Options`."""

        token: Count = Field(64, description="weights in a token")
        width: Count = Field(128, description="width of the shared network")

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`."""
        super().__init__(families, cfg, image, classes)
        self.directions = nn.ParameterDict()
        token, width = self.options.token, self.options.width
        self.rows = {name: Rows.of(family.layout, token) for name, family in families.items()}
        self.positions = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(len(r.places), width)) for name, r in self.rows.items()}
        )
        self.trunk = nn.Linear(cfg.latent, width)
        self.middle = nn.Linear(width, width)
        self.last = nn.Linear(width, token)

    def decode(self, architecture: str, latent: Tensor) -> Tensor:
        """See `Arm`."""
        hidden = gelu(self.trunk(latent)[:, None] * self.positions[architecture])
        change = self.rows[architecture].scatter(self.last(gelu(self.middle(hidden))))
        return (self.base[architecture] + change) * self.scale[architecture]

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
from lib.embed.arm import Space, arm
from lib.embed.probing import Probing
from lib.embed.rows import Rows


@arm("positional")
class Positional(Probing):
    """Decodes tokens from their positions and the latent."""

    class Options(Probing.Options):
        """See `Arm.Options`."""

        token: Count = Field(64, description="weights in a token")
        width: Count = Field(128, description="width of the shared network")

    def __init__(
        self, spaces: Mapping[str, Space], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`."""
        super().__init__(spaces, cfg, image, classes)
        self.directions = nn.ParameterDict()
        token, width = self.options.token, self.options.width
        self.rows = {name: Rows.of(space.layout, token) for name, space in spaces.items()}
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

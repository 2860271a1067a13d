"""The probing arm for signed distance fields: distances at probe points, decoded by a hypernetwork.

As for classifiers, what a network does is comparable between networks where its weights are not.
The encoder sees the field's values at fixed points near the surfaces of training shapes, saturated
at some distance, as what is far from a surface says little of it. The decoder writes each weight as
a learnt base plus a combination of learnt directions; unlike for classifiers, the way from the
latent to the combination has a hidden layer, since a field that moves a surface is not a sum of
fields that do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lib.config import Embedding
from lib.config.types import Count, Rate
from lib.embed.arm import FieldArm, arm
from lib.embed.measures import choose_probes, layer_spread
from lib.engine.family import Family


@arm("field_probing")
class FieldProbing(FieldArm):
    """A latent of `cfg.latent` numbers for the fields of one architecture."""

    class Options(FieldArm.Options):
        """See `Arm.Options`."""

        reach: Rate = Field(0.1, description="distance at which observed values saturate")
        hidden: Count = Field(256, description="width of the decoder's hidden layer")

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`; `image` is the shape (3,) of a point, `classes` the one value there."""
        super().__init__(families, cfg, image, classes)
        (self.family,) = families.values()
        size, hidden = self.family.layout.size, self.options.hidden
        self.register_buffer("probes", torch.zeros(cfg.probes, *image))
        self.register_buffer("mean", torch.zeros(cfg.probes))
        self.register_buffer("spread", torch.ones(1))
        self.register_buffer("scale", torch.ones(size))
        self.reader = nn.Linear(cfg.probes, cfg.latent)
        self.trunk = nn.Sequential(
            nn.Linear(cfg.latent, hidden), nn.GELU(), nn.Linear(hidden, cfg.rank)
        )
        self.base = nn.Parameter(torch.zeros(size))
        self.directions = nn.Parameter(torch.randn(cfg.rank, size) * 0.3 / cfg.rank**0.5)

    @torch.no_grad()
    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Choose probes among points x [m, 3]; the scale of each layer, the base to start from."""
        (name,) = self.families
        flat = networks[name]
        self.probes.copy_(choose_probes(x, len(self.probes), rng))
        self.scale.copy_(layer_spread(flat, self.family.layout, correction=0))
        self.base.copy_(flat[scores[name].argmax()] / self.scale)
        seen = self.values(flat, self.probes.expand(len(flat), -1, -1))
        self.mean.copy_(seen.mean(0))
        self.spread.copy_((seen - self.mean).std(correction=0).clamp_min(1e-6))

    def values(self, flat: Tensor, points: Tensor) -> Tensor:
        """Saturated distances [n, B] of fields [n, P] at points [n, B, 3] of each."""
        return torch.tanh(self.family.run_each(flat, points)[..., 0] / self.options.reach)

    def observe(self, architecture: str, flat: Tensor) -> Tensor:
        """Values at the probes, centred and scaled as those of the training fields."""
        return self.observe_at(flat, self.probes.expand(len(flat), -1, -1))

    @torch.no_grad()
    def observe_at(self, flat: Tensor, points: Tensor) -> Tensor:
        """See `FieldArm`."""
        return (self.values(flat, points) - self.mean) / self.spread

    def embed(self, architecture: str, seen: Tensor) -> Tensor:
        """See `Arm`."""
        latent = self.reader(seen)
        return F.layer_norm(latent, latent.shape[-1:])

    def classify(self, latent: Tensor) -> Tensor:
        """See `Arm`; there is one architecture."""
        return latent.new_zeros(*latent.shape[:-1], 1)

    def decode(self, architecture: str, latent: Tensor) -> Tensor:
        """See `Arm`."""
        return (self.base + self.trunk(latent) @ self.directions) * self.scale

"""Encode the weights alone: a transformer over the rows of a network's layers.

After Schürholt et al., "Towards Scalable and Versatile Weight Space Learning" (ICML 2024), with two
changes: every layer is brought to unit spread first, and the tokens of each layer are averaged, so
that the order of its neurons, which means nothing, counts only through their positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from lib.config import Embedding
from lib.config.types import Count
from lib.embed.arm import SettingError, arm
from lib.embed.arms.lowrank import PLACE, LowRank, fixed
from lib.embed.rows import Rows
from lib.engine.family import Family
from lib.nets.alignment import Neurons

FREQUENCIES = 6
HEADS = 4


@arm("transformer")
class Transformer(LowRank):
    """Reads a network from its weights, as tokens."""

    class Options(LowRank.Options):
        """See `Arm.Options`."""

        token: Count = Field(64, description="weights in a token")
        width: Count = Field(64, multiple_of=HEADS, description="numbers that stand for a token")
        depth: int = Field(
            2, ge=0, description="blocks of attention; 0: the rows of a layer as an unordered set"
        )
        positions: bool = Field(True, description="whether a token says where in its layer it is")
        order: Literal["given", "shuffled", "aligned"] = Field(
            "given",
            description="neurons as they are; put in random orders in noisy versions of training "
            "networks; or put in the order nearest to that of the best training network, always",
        )

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`."""
        super().__init__(families, cfg, image, classes)
        width = self.options.width
        self.rows = {name: Rows.of(s.layout, self.options.token) for name, s in families.items()}
        self.lift, self.inner = nn.Linear(self.options.token, width), nn.Linear(width, width)
        self.where = nn.Linear(4 * FREQUENCIES, width)
        self.neurons = {name: self._neurons(family) for name, family in families.items()}
        self.nearest = nn.ParameterDict()
        self.layers, self.readers = nn.ModuleDict(), nn.ModuleDict()
        for name, rows in self.rows.items():
            self.nearest[name] = fixed(families[name].layout.size)
            self.layers[name] = nn.Embedding(rows.count, width)
            self.readers[name] = nn.Linear(rows.count * width, cfg.latent - PLACE)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, HEADS, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(self.options.depth)
        )

    def _neurons(self, family: Family) -> Neurons | None:
        found = Neurons.of(family.module)
        if found is None and self.options.order != "given":
            raise SettingError(
                "options.order",
                f"is {self.options.order}: it is not known how the neurons of "
                f"{family.architecture} may be ordered; it must be given",
            )
        return found

    @torch.no_grad()
    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Take the best training networks too, whose order of neurons counts."""
        super().prepare(networks, scores, x, rng)
        for name, flat in networks.items():
            self.nearest[name].copy_(flat[scores[name].argmax()])

    def perturb(self, architecture: str, flat: Tensor, rng: torch.Generator) -> Tensor:
        """Noise, as ever, and new orders where the options say so."""
        flat = super().perturb(architecture, flat, rng)
        if self.options.order == "shuffled":
            flat = self.neurons[architecture].shuffle(flat, rng)
        return flat

    def observe(self, architecture: str, flat: Tensor) -> Tensor:
        """The weights themselves, every layer at unit spread."""
        if self.options.order == "aligned":
            flat = self.neurons[architecture].align(flat, self.nearest[architecture])
        return flat / self.scale[architecture]

    def read(self, architecture: str, seen: Tensor) -> Tensor:
        """See `LowRank`."""
        rows = self.rows[architecture]
        layers = rows.layers.to(seen.device)
        tokens = self.lift(rows.gather(seen)) + self.layers[architecture](layers)
        if self.options.positions:
            tokens = tokens + self.where(rows.positions(FREQUENCIES).to(seen.device))
        tokens = self.inner(gelu(tokens))
        for block in self.blocks:
            tokens = block(tokens)
        sums = torch.zeros(len(seen), rows.count, tokens.shape[-1], device=seen.device)
        means = sums.index_add(1, layers, tokens) / layers.bincount()[:, None]
        return self.readers[architecture](means.flatten(1))

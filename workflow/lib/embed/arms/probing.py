"""Our arm: encode what a network does on probe images, decode weights by a low-rank hypernetwork.

Weights of independently trained networks are comparable only up to permutations of their neurons;
their outputs are comparable as they are. So the encoder runs a network on fixed probe images
(training images kept inside the embedder) and embeds its normalised logits: only weights enter,
and the cost follows the network's real size.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lib.config import Embedding
from lib.embed.arm import arm
from lib.embed.arms.lowrank import PLACE, LowRank, fixed
from lib.embed.measures import choose_probes
from lib.engine.family import Family


def normalize(outputs: Tensor) -> Tensor:
    """Logits [n, B, K] without what does not change a prediction: class mean and overall scale."""
    centred = outputs - outputs.mean(-1, keepdim=True)
    return centred / centred.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(1e-6)


@arm("probing")
class Probing(LowRank):
    """Reads a network from its normalised logits on the probes."""

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`."""
        super().__init__(families, cfg, image, classes)
        features = cfg.probes * classes
        self.register_buffer("probes", torch.zeros(cfg.probes, *image))
        self.mean, self.spread = nn.ParameterDict(), nn.ParameterDict()
        for name in families:
            self.mean[name], self.spread[name] = fixed(features), fixed(1)
        self.reader = nn.Linear(features, cfg.latent - PLACE)

    @torch.no_grad()
    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Choose probes too, and take the mean and spread of what is seen on them."""
        super().prepare(networks, scores, x, rng)
        self.probes.copy_(choose_probes(x, len(self.probes), rng))
        for name, flat in networks.items():
            seen = normalize(self.families[name].run(flat, self.probes)).flatten(1)
            self.mean[name].copy_(seen.mean(0))
            self.spread[name].copy_((seen - seen.mean(0)).std().clamp_min(1e-6))

    def observe(self, architecture: str, flat: Tensor) -> Tensor:
        """Logits on the probes, centred and scaled as those of the training networks."""
        with torch.no_grad():
            seen = normalize(self.families[architecture].run(flat, self.probes)).flatten(1)
            return (seen - self.mean[architecture]) / self.spread[architecture]

    def read(self, architecture: str, seen: Tensor) -> Tensor:
        """See `LowRank`."""
        return self.reader(seen)

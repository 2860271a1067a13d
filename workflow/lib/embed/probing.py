"""Our arm: encode what a network does on probe images, decode weights by a low-rank hypernetwork.

Weights of independently trained networks are comparable only up to permutations of their neurons;
their outputs are comparable as they are. So the encoder runs a network on fixed probe images
(training images kept inside the embedder) and embeds its normalised logits: only weights enter,
and the cost follows the network's real size. The decoder writes each weight as a learnt base plus
a combination, given by the latent, of learnt directions for that layer, row and place.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.config import Embedding
from lib.embed.arm import Arm, Space, arm

HEAD_WIDTH = 64
PLACE = 8  # numbers of a latent that say which architecture it is; the others say which network


def normalize(outputs: Tensor) -> Tensor:
    """Logits [n, B, K] without what does not change a prediction: class mean and overall scale."""
    centred = outputs - outputs.mean(-1, keepdim=True)
    return centred / centred.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(1e-6)


@arm("probing")
class Probing(Arm):
    """One latent of `cfg.latent` numbers for every architecture: its place, then the individual."""

    def __init__(
        self, spaces: Mapping[str, Space], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`."""
        super().__init__(spaces, cfg, image, classes)
        features = cfg.probes * classes
        self.register_buffer("probes", torch.zeros(cfg.probes, *image))
        self.mean, self.spread, self.scale = (nn.ParameterDict() for _ in range(3))
        self.base, self.directions = nn.ParameterDict(), nn.ParameterDict()
        for name, space in spaces.items():
            size = space.layout.size
            self.mean[name] = _fixed(features)
            self.spread[name] = _fixed(1)
            self.scale[name] = _fixed(size)
            self.base[name] = nn.Parameter(torch.zeros(size))
            self.directions[name] = nn.Parameter(torch.randn(cfg.rank, size) * 0.3 / cfg.rank**0.5)
        self.place = nn.Parameter(torch.randn(len(spaces), PLACE))
        self.reader = nn.Linear(features, cfg.latent - PLACE)
        self.trunk = nn.Linear(cfg.latent, cfg.rank)
        self.head = nn.Sequential(
            nn.Linear(PLACE, HEAD_WIDTH), nn.GELU(), nn.Linear(HEAD_WIDTH, len(spaces))
        )

    @torch.no_grad()
    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Choose probes; per architecture the scale of each layer and the base to start from."""
        chosen = torch.randperm(len(x), generator=rng)[: len(self.probes)]
        self.probes.copy_(x[chosen.repeat(-(-len(self.probes) // len(chosen)))[: len(self.probes)]])
        for name, flat in networks.items():
            for entry in self.spaces[name].layout.entries:
                place = slice(entry.offset, entry.offset + entry.size)
                self.scale[name][place] = flat[:, place].std().clamp_min(1e-6)
            self.base[name].copy_(flat[scores[name].argmax()] / self.scale[name])
            seen = normalize(self.spaces[name].run(flat, self.probes)).flatten(1)
            self.mean[name].copy_(seen.mean(0))
            self.spread[name].copy_((seen - seen.mean(0)).std().clamp_min(1e-6))

    def observe(self, architecture: str, flat: Tensor) -> Tensor:
        """Logits on the probes, centred and scaled as those of the training networks."""
        with torch.no_grad():
            seen = normalize(self.spaces[architecture].run(flat, self.probes)).flatten(1)
            return (seen - self.mean[architecture]) / self.spread[architecture]

    def embed(self, architecture: str, seen: Tensor) -> Tensor:
        """See `Arm`."""
        place = self.place[list(self.spaces).index(architecture)]
        individual = self.reader(seen)
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


def _fixed(size: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(size), requires_grad=False)

"""What a user of the study writes, as docs/guides/extend.md shows it: a net, an embedder."""

NET = '''
"""WideNet: a convolution and a linear layer."""

from torch import nn

from lib.nets import architecture


@architecture("WideNet")
def wide_net(channels, size, classes):
    """From images [B, channels, size, size] to logits [B, classes]."""
    return nn.Sequential(
        nn.Conv2d(channels, 12, 3, stride=2, padding=1),
        nn.BatchNorm2d(12),
        nn.LeakyReLU(0.01),
        nn.Flatten(),
        nn.Linear(12 * (-(-size // 2)) ** 2, classes),
    )
'''
ARM = '''
"""Linear: principal components of the zero-padded weights of all architectures together."""

import torch
import torch.nn.functional as F
from torch import nn

from lib.embed.arm import Arm, arm


@arm("linear")
class Linear(Arm):
    """Latents are projections on the components; a layer of its own tells the architecture."""

    def __init__(self, families, cfg, image, classes):
        super().__init__(families, cfg, image, classes)
        self.size = max(family.layout.size for family in families.values())
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("axes", torch.zeros(cfg.latent, self.size))
        self.head = nn.Linear(cfg.latent, len(families))

    def pad(self, flat):
        return F.pad(flat, (0, self.size - flat.shape[1]))

    def prepare(self, networks, scores, x, rng):
        every = torch.cat([self.pad(flat) for flat in networks.values()])
        self.mean.copy_(every.mean(0))
        found = torch.linalg.svd(every - self.mean, full_matrices=False).Vh
        self.axes[: len(found)].copy_(found[: len(self.axes)])

    def observe(self, architecture, flat):
        return (self.pad(flat) - self.mean) @ self.axes.T

    def embed(self, architecture, seen):
        return seen

    def classify(self, latent):
        return self.head(latent)

    def decode(self, architecture, latent):
        flat = self.mean + latent @ self.axes
        return flat[:, : self.families[architecture].layout.size]
'''

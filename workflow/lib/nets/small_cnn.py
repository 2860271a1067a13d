"""The network of the Small CNN Zoo (Unterthiner et al. 2020, arXiv 2002.11448), 4,970 parameters.

Three 3x3 convolutions of 16 filters with stride 2 and no padding (`train_network.py` of its authors
leaves Keras at "valid"), each followed by the activation, a mean over the map, a linear layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from lib.nets import architecture

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
FILTERS, LAYERS = 16, 3


class SmallCNN(nn.Module):
    """Images [B, channels, size, size], size at least 15, to logits [B, classes]."""

    def __init__(self, channels: int, classes: int, activation: type[nn.Module]) -> None:
        """Build the network; nothing in it depends on the size of the images."""
        super().__init__()
        features: list[nn.Module] = []
        for _ in range(LAYERS):
            features += [nn.Conv2d(channels, FILTERS, 3, 2), activation()]
            channels = FILTERS
        self.features = nn.Sequential(*features)
        self.head = nn.Linear(FILTERS, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        return self.head(self.features(x).mean((2, 3)))


def _register(name: str, activation: type[nn.Module]) -> None:
    @architecture(f"SmallCNN_{name}", sizes=(28, 32, 64))
    def build(channels: int, size: int, classes: int) -> nn.Module:
        return SmallCNN(channels, classes, activation)


for _name, _activation in ACTIVATIONS.items():
    _register(_name, _activation)

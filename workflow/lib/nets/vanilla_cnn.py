"""VanillaCNN: five 3x3 convolutions and one linear layer (paper, Sec. IV)."""

from __future__ import annotations

from torch import Tensor, nn

from lib.nets import architecture

SLOPE = 0.01
# image size: convolutions as (out channels, stride), all of kernel 3 and padding 1
PRESETS = {
    8: ((8, 2), (8, 1), (16, 1), (32, 2), (32, 1)),
    32: ((8, 2), (8, 1), (32, 2), (64, 1), (64, 2)),
    64: ((8, 2), (16, 2), (32, 2), (64, 2), (64, 2)),
}


class VanillaCNN(nn.Module):
    """Images [B, channels, size, size] to logits [B, classes]."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        """Build the preset of an image size."""
        super().__init__()
        features: list[nn.Module] = []
        for out, stride in PRESETS[size]:
            features += [nn.Conv2d(channels, out, 3, stride, 1), nn.LeakyReLU(SLOPE)]
            channels, size = out, size // stride
        self.features = nn.Sequential(*features)
        self.head = nn.Linear(channels * size**2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        return self.head(self.features(x).flatten(1))


@architecture("VanillaCNN", sizes=PRESETS)
def vanilla_cnn(channels: int, size: int, classes: int) -> nn.Module:
    """VanillaCNN (architecture 1 of the paper)."""
    return VanillaCNN(channels, size, classes)

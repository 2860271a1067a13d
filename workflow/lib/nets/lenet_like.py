"""LeNetLike: a few strided 5x5 convolutions and three linear layers (paper, Sec. IV)."""

from __future__ import annotations

from torch import Tensor, nn

from lib.nets import architecture

SLOPE = 0.01
# image size: convolutions as (out channels, kernel, stride, padding), widths of the linear layers
PRESETS = {
    8: (((6, 3, 2, 1), (16, 3, 2, 1)), (64, 32, 16)),
    32: (((6, 5, 2, 0), (16, 5, 2, 0)), (400, 120, 84)),
    64: (((4, 5, 2, 2), (8, 5, 2, 0), (16, 5, 2, 0)), (400, 120, 84)),
}


class LeNetLike(nn.Module):
    """Images [B, channels, size, size] to logits [B, classes]."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        """Build the preset of an image size."""
        super().__init__()
        convolutions, widths = PRESETS[size]
        features: list[nn.Module] = []
        for out, kernel, stride, padding in convolutions:
            features += [nn.Conv2d(channels, out, kernel, stride, padding), nn.LeakyReLU(SLOPE)]
            channels = out
        head: list[nn.Module] = []
        for width, out in zip(widths, widths[1:], strict=False):
            head += [nn.Linear(width, out), nn.LeakyReLU(SLOPE)]
        self.features = nn.Sequential(*features)
        self.head = nn.Sequential(*head, nn.Linear(widths[-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        return self.head(self.features(x).flatten(1))


@architecture("LeNetLike", sizes=PRESETS)
def lenet_like(channels: int, size: int, classes: int) -> nn.Module:
    """LeNetLike (architecture 0 of the paper)."""
    return LeNetLike(channels, size, classes)

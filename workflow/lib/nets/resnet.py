"""Residual networks for small images (paper, Sec. IV; He et al. 2016, Sec. 4.2): depth 6n + 2.

Shortcuts are the identity, or a 1x1 convolution with batch norm where the shape changes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lib.nets import architecture

SLOPE = 0.01
# image size: channels after the first convolution, then of each of the three stages
WIDTHS = {8: (8, 8, 16, 32), 32: (16, 16, 32, 64), 64: (16, 16, 32, 64)}


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: [B, in, S, S] to [B, out, S / stride, S / stride]."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        """Build a block; no convolution has a bias, batch norm follows each."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = (
            nn.Identity()
            if channels == out and stride == 1
            else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        y = F.leaky_relu(self.bn1(self.conv1(x)), SLOPE)
        return F.leaky_relu(self.bn2(self.conv2(y)) + self.shortcut(x), SLOPE)


class ResNet(nn.Module):
    """Images [B, channels, size, size] to logits [B, classes], with n blocks in each stage."""

    def __init__(self, n: int, channels: int, size: int, classes: int) -> None:
        """Build the preset of an image size; the second and third stage halve the map."""
        super().__init__()
        width, *stages = WIDTHS[size]
        self.conv = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        for stage, out in enumerate(stages):
            for i in range(n):
                blocks.append(Block(width, out, 2 if stage > 0 and i == 0 else 1))
                width = out
        self.blocks = nn.Sequential(*blocks)
        map_size = size // 4
        self.pool = min(8, map_size)
        self.head = nn.Linear(width * (map_size // self.pool) ** 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        x = self.blocks(F.leaky_relu(self.bn(self.conv(x)), SLOPE))
        return self.head(F.avg_pool2d(x, self.pool).flatten(1))


@architecture("ResNet8", sizes=WIDTHS)
def resnet8(channels: int, size: int, classes: int) -> nn.Module:
    """ResNet8 (architecture 2 of the paper)."""
    return ResNet(1, channels, size, classes)


@architecture("ResNet14", sizes=WIDTHS)
def resnet14(channels: int, size: int, classes: int) -> nn.Module:
    """ResNet14: what stands for ResNet32 on 8x8 images."""
    return ResNet(2, channels, size, classes)


@architecture("ResNet32", sizes=WIDTHS)
def resnet32(channels: int, size: int, classes: int) -> nn.Module:
    """ResNet32 (architecture 3 of the paper)."""
    return ResNet(5, channels, size, classes)


@architecture("ResNet56", sizes=WIDTHS)
def resnet56(channels: int, size: int, classes: int) -> nn.Module:
    """ResNet56 (the paper's teacher)."""
    return ResNet(9, channels, size, classes)

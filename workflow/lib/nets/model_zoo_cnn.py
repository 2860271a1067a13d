"""The CNNs of the ModelZooDataset (Schuerholt et al. 2022, arXiv 2209.14764), one per nonlinearity.

`ModelZooCNN_*` is its type CNN (28x28 images; 2,464 parameters for one channel, 2,864 for three),
`ModelZooCNN3_*` its type CNN3 (32x32 images; 10,853 parameters for three channels). Their dropout
has no parameters and does nothing in a trained network, so it is left out.
"""

from __future__ import annotations

from torch import Tensor, nn

from lib.nets import architecture

NONLINEARITIES = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "leakyrelu": nn.LeakyReLU,
    "silu": nn.SiLU,
}
# name: image size, convolutions as (out channels, kernel, followed by 2x2 max pooling), values that
# reach the first linear layer
PRESETS = {
    "ModelZooCNN": (28, ((8, 5, True), (6, 5, True), (4, 2, False)), 4 * 3 * 3),
    "ModelZooCNN3": (32, ((16, 3, True), (32, 3, True), (15, 3, True)), 15 * 2 * 2),
}
HIDDEN = 20


class ModelZooCNN(nn.Module):
    """Images [B, channels, size, size] of a preset's size to logits [B, classes]."""

    def __init__(
        self, preset: str, channels: int, classes: int, nonlinearity: type[nn.Module]
    ) -> None:
        """Build a preset; pooling comes before the nonlinearity, as in the original."""
        super().__init__()
        _, convolutions, width = PRESETS[preset]
        features: list[nn.Module] = []
        for out, kernel, pooled in convolutions:
            features.append(nn.Conv2d(channels, out, kernel))
            features += [nn.MaxPool2d(2), nonlinearity()] if pooled else [nonlinearity()]
            channels = out
        self.features = nn.Sequential(*features)
        self.head = nn.Sequential(
            nn.Linear(width, HIDDEN), nonlinearity(), nn.Linear(HIDDEN, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        return self.head(self.features(x).flatten(1))


def _register(preset: str, name: str, nonlinearity: type[nn.Module]) -> None:
    @architecture(f"{preset}_{name}", sizes=(PRESETS[preset][0],))
    def build(channels: int, size: int, classes: int) -> nn.Module:
        return ModelZooCNN(preset, channels, classes, nonlinearity)


for _preset in PRESETS:
    for _name, _nonlinearity in NONLINEARITIES.items():
        _register(_preset, _name, _nonlinearity)

"""What the zoo benchmark trains: a module, a training set of some shape, a batch, an optimizer.

Images are noise of a dataset's shape and the learning rate is tiny: a step costs the same whatever
it learns, and nothing drifts to numbers that a processor is slow at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from lib import nets
from lib.config import Training
from lib.data.images import ImageSplit
from lib.engine.kernels.tracing import trace

RATE, MOMENTUM, WEIGHT_DECAY = 1e-5, 0.9, 5e-4
EPOCHS = 25  # of the default study


class Siren(nn.Module):
    """A sinusoidal network of one hidden layer, points [B, 3] to distances [B, 1].

    Sitzmann et al. 2020, arXiv 2006.09661: sines of 30 times the linear layers.
    """

    def __init__(self, width: int = 64) -> None:
        """Initialise as the authors do."""
        super().__init__()
        self.first, self.second = nn.Linear(3, width), nn.Linear(width, width)
        self.last = nn.Linear(width, 1)
        nn.init.uniform_(self.first.weight, -1 / 3, 1 / 3)
        bound = math.sqrt(6 / width) / 30
        for layer in (self.second, self.last):
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Distances at points."""
        x = torch.sin(30 * self.first(x))
        return self.last(torch.sin(30 * self.second(x)))


@dataclass(frozen=True)
class Subject:
    """One thing to train.

    Attributes:
        shape: of one input.
        items: inputs in memory.
        batch: of one step; `items` need not be whole batches.
        steps: of one network's whole training.
        chunk: steps of one call, between two looks at the clock.
    """

    architecture: str
    dataset: str
    shape: tuple[int, ...]
    items: int
    batch: int
    steps: int
    chunk: int = 4
    optimizer: str = "sgd"
    loss: str = "cross_entropy"

    def build(self) -> nn.Module:
        """A freshly initialised network."""
        if self.architecture == "SIREN":
            return Siren()
        return nets.build(self.architecture, *self.shape[:2], 10)

    @lru_cache(maxsize=1)  # noqa: B019 (subjects live as long as the process)
    def data(self) -> ImageSplit:
        """Inputs and targets: classes, or one number each where the loss is the squared error."""
        rng = torch.Generator().manual_seed(0)
        x = torch.empty(self.items, *self.shape).uniform_(-1, 1, generator=rng)
        if self.loss == "squared_error":
            y = torch.randn(self.items, 1, generator=rng)
        else:
            y = torch.randint(10, (self.items,), generator=rng)
        return ImageSplit(x, y, tuple("0123456789"), self.dataset, "")

    def training(self) -> Training:
        """The configuration of its training."""
        return Training(
            batch_size=self.batch,
            optimizer=self.optimizer,
            learning_rate=RATE,
            momentum=MOMENTUM,
            weight_decay=WEIGHT_DECAY,
            schedule="constant",
        )

    def multiply_adds(self) -> float:
        """Multiply-adds of a network-step of a whole batch, from the traced graph.

        Convolutions and linear layers, forward, for the weights' gradient and (but for the first
        layer) for the input's; taps that fall on padding are not counted, nor is anything else.
        """
        graph, known, total = trace(self.build(), self.shape), set(), 0
        for op in graph.operations:
            if op.kind == "conv":
                pairs = len(op.options["taps"].triples)
                once = pairs * op.inputs[0].channels * op.output.channels
                total += once * (3 if op.inputs[0] in known else 2)
            if op.kind in ("conv", "norm") or known.intersection(op.inputs):
                known.add(op.output)
        return total * self.batch


def _digits(architecture: str) -> Subject:
    """With as many images as the default study trains on."""
    epoch = -(-1008 // 64)
    name = "digits' shape 1x8x8"
    return Subject(architecture, name, (1, 8, 8), 1008, 64, EPOCHS * epoch, epoch)


def _cifar10(architecture: str, chunk: int) -> Subject:
    """With more images than a cache holds; a whole training is over CIFAR-10's 50,000."""
    steps = EPOCHS * -(-50_000 // 128)
    name = "CIFAR-10's shape 3x32x32"
    return Subject(architecture, name, (3, 32, 32), 6144, 128, steps, chunk)


SUBJECTS: tuple[Subject, ...] = (
    *map(_digits, ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")),
    Subject("SIREN", "1,024 points", (3,), 1024, 1024, 1000, 4, "adam", "squared_error"),
    _cifar10("LeNetLike", 4),
    _cifar10("ResNet8", 1),
)

Runner = Callable[[], int]  # trains for a few steps; how many network-steps it did

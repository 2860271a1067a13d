"""What trains a group of instances for an epoch: the interface.

The loop decides what happens (which instances, in what order of images, at which learning rate);
a backend computes it. All draws are made before an epoch starts, so no backend's way of batching
can change them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from lib.config import Kernels, Precision, Training
from lib.data.images import ImageSplit
from lib.engine.ensemble import Stack


@dataclass(frozen=True)
class Rates:
    """Hyperparameters of each of N instances for the whole run: float64 [N] each.

    `streams`, int64 [N], is what each draws from while it trains, where it does (dropout).
    """

    momentum: np.ndarray
    weight_decay: np.ndarray
    label_smoothing: np.ndarray
    streams: np.ndarray | None = None


@dataclass(frozen=True)
class EpochPlan:
    """What one epoch does, for K of the N instances of a backend.

    Attributes:
        who: The instances that train in this epoch; the others stay as they are.
        order: int64 [K, n]; the images of each in the order of its steps.
        rate: float64 [K]; learning rate of each in this epoch.
        shifts: int64 [K, n, 2]; row and column of the crop in the padded image (0 to twice the
            padding) for each image of `order`, or None for no crop.
        flips: bool [K, n]; whether each image of `order` is flipped left to right after its
            crop, or None for no flip.
    """

    who: list[int]
    order: np.ndarray
    rate: np.ndarray
    shifts: np.ndarray | None = None
    flips: np.ndarray | None = None

    def part(self, rows: slice, images: slice) -> EpochPlan:
        """Some of the K instances, and some of the images; whole batches, but at the end."""
        who = self.who[rows], self.order[rows, images], self.rate[rows]
        draws = (None if x is None else x[rows, images] for x in (self.shifts, self.flips))
        return EpochPlan(*who, *draws)


class Backend(Protocol):
    """Trains N instances of one module, each exactly as if it were alone.

    Attributes:
        stack: The live state of all N instances: parameters and buffers [N, ...] by the names of
            the module's state dict. Optimizer state (momentum, moments, steps taken) is kept by
            the backend, for each instance.
        held: All that training changes, [N, ...] each; what is copied into these tensors takes the
            place of what was there.
        together: Whether instances run side by side; if not, one after the other.
    """

    stack: Stack
    held: Stack
    together: bool

    def __init__(
        self, module: nn.Module, stack: Stack, cfg: Training, rates: Rates, images: ImageSplit
    ) -> None:
        """Take over the instances of `stack`.

        Of `cfg` a backend reads `batch_size`, `optimizer`, `betas`, `eps` and
        `augmentation.crop_padding`; what a shifted image shows beyond its edge is `images.black`.
        """

    def epoch(self, plan: EpochPlan) -> tuple[np.ndarray, np.ndarray]:
        """One pass over the images, the last batch being as small as it comes.

        Returns:
            Loss (label smoothing included) and number of hits of each training step, both
            float64 [K, steps].
        """

    def outputs(self, who: list[int], x: Tensor) -> Tensor:
        """Eval-mode logits [K, n, classes] of instances `who` for shared images x [n, C, H, W]."""


@dataclass(frozen=True)
class Engine:
    """What computes a training, and how much memory it may take.

    Attributes:
        kernels: Name of the backend.
        width: `vmap`: instances that run at once.
        precision: `vmap` on a GPU: arithmetic of products.
        max_memory: Bytes; None for no limit.
    """

    kernels: Kernels = "vmap"
    width: int = 10
    precision: Precision = "float32"
    max_memory: int | None = None

    def record(self, device: str) -> dict[str, str | int]:
        """What of it is part of the result's definition."""
        found: dict[str, str | int] = {"kernels": self.kernels, "device": device}
        if self.kernels == "vmap":
            found |= {"width": self.width, "precision": self.precision}
        return found

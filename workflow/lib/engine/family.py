"""The networks of one architecture, however many: the module that runs them, and their layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lib import nets
from lib.engine import ensemble
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout

if TYPE_CHECKING:
    from lib.engine.kernels.runner import Runner

SIDE_BY_SIDE = 32  # networks that vmap predicts with at once; bounds memory, is part of the result


@dataclass(frozen=True)
class Family:
    """The networks of one architecture: the fused module that runs them and their layout.

    On the CPU they run through compiled kernels, unless the architecture is registered with
    `compiled=False`; on a GPU, and in double precision, through `torch.func.vmap`.
    """

    architecture: str
    module: nn.Module
    layout: Layout
    compiled: bool = True

    @classmethod
    def of(cls, architecture: str, channels: int, size: int, classes: int) -> Family:
        """The family of a registered architecture for images of this kind."""
        module = fused_skeleton(nets.build(architecture, channels, size, classes)).eval()
        return cls(architecture, module, Layout.of(module), nets.compiled(architecture))

    @classmethod
    def of_field(cls, architecture: str, widths: Sequence[int], omega: float) -> Family:
        """The family of signed distance fields of this architecture; inputs are points [B, 3]."""
        module = nets.build_field(architecture, widths, omega).eval()
        return cls(architecture, module, Layout.of(module))

    def run_each(self, flat: Tensor, x: Tensor) -> Tensor:
        """As `run`, on inputs [n, B, ...] of each network's own."""
        if self._compiled(flat):
            return self._runner(tuple(x.shape[2:]))(flat, x)
        return ensemble.run(self.module, self.layout.unflatten(flat), x)

    def run(self, flat: Tensor, x: Tensor) -> Tensor:
        """Logits [n, B, classes] of networks [n, P] on the same images [B, C, H, W]."""
        if self._compiled(flat):
            return self._runner(tuple(x.shape[1:]))(flat, x)
        return ensemble.run(self.module, self.layout.unflatten(flat), x, shared=True)

    def predict(self, flat: Tensor, x: Tensor) -> Tensor:
        """As `run`, in batches and without gradients: [n, images, classes]."""
        if self._compiled(flat):
            return self._runner(tuple(x.shape[1:])).outputs(flat, x)
        parts = flat.split(SIDE_BY_SIDE)
        run = (ensemble.predict(self.module, self.layout.unflatten(part), x) for part in parts)
        return torch.cat(list(run))

    def _compiled(self, flat: Tensor) -> bool:
        single = flat.device.type == "cpu" and flat.dtype == torch.float32
        return single and self.compiled

    @lru_cache(maxsize=8)  # noqa: B019 (families live as long as their study)
    def _runner(self, shape: tuple[int, ...]) -> Runner:
        from lib.engine.kernels.runner import Runner

        offsets = {entry["name"]: entry["offset"] for entry in self.layout.to_json()}
        return Runner(self.module, shape, offsets)

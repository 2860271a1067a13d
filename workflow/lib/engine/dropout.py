"""Dropout of networks that train side by side: each draws from a stream of its own.

Torch's own generator would give a network other masks when other networks share its job. Here a
mask is computed from the network's stream, the call's place in the forward pass and the place of
the number: integers mixed until every bit depends on all of them (lowbias32 of C. Wellons).
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

LOW = 0xFFFFFFFF
SINGLE = {F.dropout, torch.dropout}
CHANNELS = {F.dropout1d, F.dropout2d, F.dropout3d}
NAMES = ("input", "p", "training", "inplace")


class Streams(TorchFunctionMode):
    """Inside, dropout draws from `stream`, an int64 of one network (or, under vmap, of each)."""

    def __init__(self, stream: Tensor) -> None:
        super().__init__()
        self.stream, self.calls = stream, 0

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the function gives, but for dropout."""
        if func not in SINGLE and func not in CHANNELS:
            return func(*args, **(kwargs or {}))
        given = {"p": 0.5, "training": True, "inplace": False}
        given |= dict(zip(NAMES, args, strict=False)) | dict(kwargs or {})
        x, share = given["input"], given["p"]
        if not given["training"] or not share:
            return x
        ones = [1] * (x.ndim - 2)
        kept = self._kept([*x.shape[:2], *ones] if func in CHANNELS else x.shape, share, x.device)
        factor = kept.to(x.dtype) * (1 / (1 - share) if share < 1 else 0.0)
        return x.mul_(factor) if given["inplace"] else x * factor

    def _kept(self, shape: Sequence[int], share: float, device: torch.device) -> Tensor:
        """Which numbers stay; each with a chance of 1 - share."""
        self.calls += 1
        low, high = _mixed(self.stream & LOW), _mixed((self.stream >> 32 & LOW) + self.calls)
        places = torch.arange(math.prod(shape), device=device).reshape(tuple(shape))
        return _mixed(_mixed(places ^ low) ^ high) >= round(share * 2**32)


def following(streams: Tensor) -> Tensor:
    """The streams of the next step, from those of this one."""
    return streams * 6364136223846793005 + 1442695040888963407  # Knuth's; wraps around


def drops_out(module: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a module for inputs of this shape draws random numbers while it trains."""
    module = copy.deepcopy(module).cpu().train()
    x = torch.zeros(2, *shape, dtype=next(module.parameters()).dtype)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        return draws(lambda: module(x))


def draws(run: Callable[[], Any]) -> bool:
    """Whether random numbers of torch, numpy or Python are drawn while something runs."""
    before = _states()
    run()
    return any(a != b for a, b in zip(before, _states(), strict=True))


def _states() -> list[Any]:
    numpy = np.random.get_state()  # noqa: NPY002 (whether others draw from it)
    return [bytes(torch.get_rng_state().numpy()), random.getstate(), bytes(numpy[1]), numpy[2:]]


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ (x >> 16)) * 0x7FEB352D & LOW
    x = (x ^ (x >> 15)) * 0x846CA68B & LOW
    return x ^ (x >> 16)

"""What a module holds besides its parameters: buffers, and tensors that torch does not know of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

OWN = ("_parameters", "_buffers", "_modules")
DEPTH = 4  # how deep lists, dicts and objects in attributes are looked through


def held(module: nn.Module) -> dict[str, Tensor]:
    """Every tensor of a module that is none of its parameters, by a name that its author knows.

    Buffers, and what lies in attributes: numbers, tensors, arrays, and lists, dicts or objects of
    them; layers in a plain list too, which torch does not see.
    """
    seen = {id(parameter) for parameter in module.parameters()} | {id(m) for m in module.modules()}
    found: dict[str, Tensor] = dict(module.named_buffers())
    for name, layer in module.named_modules():
        for key, value in vars(layer).items():
            if key not in OWN:
                found |= dict(_tensors(f"{name}.{key}".lstrip("."), value, seen, DEPTH))
    return found


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names under which two such sets of tensors do not hold the same."""
    names = [*one, *(name for name in other if name not in one)]
    return [n for n in names if n not in one or n not in other or not _same(one[n], other[n])]


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _tensors(name: str, value: Any, seen: set[int], depth: int) -> Iterator[tuple[str, Tensor]]:
    if id(value) in seen or depth < 0:
        return
    if isinstance(value, Tensor):
        yield name, value.detach()
    elif isinstance(value, int | float | complex):
        yield name, torch.tensor(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        yield name, torch.from_numpy(value.copy())
    elif isinstance(value, nn.Module):
        for key, inner in value.state_dict().items():
            yield f"{name}.{key}", inner
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(f"{name}[{key!r}]", inner, seen, depth - 1)
    elif isinstance(value, list | tuple | set):
        for place, inner in enumerate(value):
            yield from _tensors(f"{name}[{place}]", inner, seen, depth - 1)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        for key, inner in vars(value).items():
            yield from _tensors(f"{name}.{key}", inner, seen, depth - 1)

"""The architectures, found by name: one file of this package each, holding plain modules.

A new architecture is one new file here whose builder is marked with `@architecture("Name")`;
nothing else needs to know of it. Modules have no data-dependent control flow and no in-place
operations, so that `torch.func` can run many instances at once and `torch.fx` can trace them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn

from lib.errors import InputError

Builder = Callable[[int, int, int], nn.Module]


class ArchitectureError(InputError):
    """An architecture cannot be built as asked, or a name is given to two of them."""


class UnknownArchitecture(ArchitectureError):
    """No architecture has this name."""


@dataclass(frozen=True)
class _Entry:
    builder: Builder
    sizes: tuple[int, ...] | None
    compiled: bool


_registry: dict[str, _Entry] = {}


def architecture(
    name: str, sizes: Iterable[int] | None = None, compiled: bool = True
) -> Callable[[Builder], Builder]:
    """Mark `builder(channels, size, classes) -> nn.Module` as the architecture `name`.

    Args:
        name: what configs and shards call it.
        sizes: image sizes in pixels it can be built for; any size if left out.
        compiled: whether networks of an embedder run through `lib.kernels` on the CPU; False for a
            module that holds an operation there is no kernel for. (How a zoo trains is config.)

    Raises:
        ArchitectureError: another module has taken the name already.
    """

    def register(builder: Builder) -> Builder:
        taken = _registry.get(name)
        if taken and taken.builder.__module__ != builder.__module__:
            raise ArchitectureError(
                f"architecture {name!r} of {builder.__module__} is already "
                f"defined in {taken.builder.__module__}; pick another name"
            )
        _registry[name] = _Entry(builder, None if sizes is None else tuple(sizes), compiled)
        return builder

    return register


def names() -> list[str]:
    """All known architectures, file by file."""
    return list(_registry)


def build(name: str, channels: int, size: int, classes: int) -> nn.Module:
    """A freshly initialised network from images [B, channels, size, size] to logits [B, classes].

    Raises:
        UnknownArchitecture: naming the known ones.
        ArchitectureError: no preset for this image size, fewer than two classes, or no channel.
    """
    entry = _entry(name)
    if entry.sizes is not None and size not in entry.sizes:
        raise ArchitectureError(
            f"{name} has no preset for images of {size}x{size} pixels; "
            f"sizes are {', '.join(map(str, entry.sizes))}"
        )
    if channels < 1:
        raise ArchitectureError(f"{name} needs at least 1 image channel, got {channels}")
    if classes < 2:
        raise ArchitectureError(f"{name} needs at least 2 classes, got {classes}")
    return entry.builder(channels, size, classes)


def compiled(name: str) -> bool:
    """Whether networks of an architecture run through compiled kernels on the CPU."""
    return _entry(name).compiled


def module_of(name: str) -> str:
    """The Python module that defines an architecture, such as "lib.nets.resnet"."""
    return _entry(name).builder.__module__


def _entry(name: str) -> _Entry:
    if name not in _registry:
        raise UnknownArchitecture(f"unknown architecture {name!r}; known are {', '.join(names())}")
    return _registry[name]


for _found in sorted(info.name for info in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_found}")

"""The architectures, found by name: one file of this package each, holding plain modules.

A new architecture is one new file here whose builder is marked with `@architecture("Name")`;
nothing else needs to know of it. A network of points instead of images, the signed distance field
of a shape, is marked with `@field("Name")` in the same way. Modules have no data-dependent control
flow and no in-place operations, so that `torch.func` can run many instances at once and `torch.fx`
can trace them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from lib.core.errors import InputError

Builder = Callable[[int, int, int], nn.Module]
FieldBuilder = Callable[[Sequence[int], float], nn.Module]


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
_fields: dict[str, FieldBuilder] = {}


def architecture(
    name: str, sizes: Iterable[int] | None = None, compiled: bool = True
) -> Callable[[Builder], Builder]:
    """Mark `builder(channels, size, classes) -> nn.Module` as the architecture `name`.

    Args:
        name: what configs and shards call it.
        sizes: image sizes in pixels it can be built for; any size if left out.
        compiled: whether networks of an embedder run through `lib.engine.kernels` on the CPU; False
            for a module with an operation there is no kernel for. (How a zoo trains is config.)

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


def field(name: str) -> Callable[[FieldBuilder], FieldBuilder]:
    """Mark `builder(widths, omega) -> nn.Module`, points [B, 3] to distances [B, 1], as `name`.

    Raises:
        ArchitectureError: another module has taken the name already.
    """

    def register(builder: FieldBuilder) -> FieldBuilder:
        taken = _fields.get(name)
        if taken and taken.__module__ != builder.__module__:
            raise ArchitectureError(
                f"field {name!r} of {builder.__module__} is already defined in "
                f"{taken.__module__}; pick another name"
            )
        _fields[name] = builder
        return builder

    return register


def build_field(name: str, widths: Sequence[int], omega: float) -> nn.Module:
    """A freshly initialised field from points [B, 3] in [-1, 1] to signed distances [B, 1].

    Raises:
        UnknownArchitecture: naming the known ones.
        ArchitectureError: no hidden layer, or one without neurons.
    """
    builder = _field(name)
    if not widths or min(widths) < 1:
        raise ArchitectureError(f"{name} needs hidden layers of at least 1 neuron, got {widths}")
    return builder(widths, omega)


def fields() -> list[str]:
    """All known fields, file by file."""
    return list(_fields)


def field_module_of(name: str) -> str:
    """The Python module that defines a field, such as "lib.nets.siren"."""
    return _field(name).__module__


def _field(name: str) -> FieldBuilder:
    if name not in _fields:
        raise UnknownArchitecture(f"unknown field {name!r}; known are {', '.join(_fields)}")
    return _fields[name]


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

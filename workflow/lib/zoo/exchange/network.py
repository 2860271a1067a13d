"""A stored network as a ready module: `load_network`, and the form that networks are stored in."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib import nets
from lib.nets.fuse import bn_pairs, bn_statistics, fuse_state, fused_skeleton
from lib.nets.layout import Layout
from lib.zoo.exchange.opening import ExchangeError, open_zoo
from lib.zoo.exchange.wrapped import difference, unwrapped
from lib.zoo.store import Catalogue, read_header
from lib.zoo.store.registered import check_layout

MOST = 1 << 28  # parameters of a network; what a file says of itself must not fill the memory
SIZES = (8, 16, 24, 28, 32, 48, 64, 96, 128, 224)
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Image:
    """What a network sees and says: images [channels, size, size] to logits [classes]."""

    channels: int
    size: int
    classes: int

    def to_json(self) -> dict[str, int]:
        """The three numbers by name: what an architecture is built with, as a shard says it."""
        return asdict(self)


class Form:
    """An architecture as its networks are stored: batch norm fused, one row of P numbers each.

    Attributes:
        architecture, image: what it is and what it sees.
        module: runs stored weights, in eval mode; its own weights mean nothing.
        layout: where each parameter lies in a row.
    """

    def __init__(self, architecture: str, image: Image) -> None:
        """Build the modules of a registered architecture; the random state is left alone.

        Raises:
            ArchitectureError: there is no such architecture, or not for such images.
            ExchangeError: it would have more parameters for them than networks here have.
        """
        self.architecture, self.image = architecture, image
        arguments = (architecture, image.channels, image.size, image.classes)
        with torch.random.fork_rng(devices=[]):
            with torch.device("meta"):  # where nothing takes memory
                size = sum(value.numel() for value in nets.build(*arguments).parameters())
            if size > MOST:
                raise ExchangeError(f"{architecture} for {image} would have {size} parameters")
            self._unfused = nets.build(*arguments)
        self._pairs = bn_pairs(self._unfused)
        self.module = fused_skeleton(self._unfused).eval()
        self.layout = Layout.of(self.module)
        self._fused = {entry.name: entry.shape for entry in self.layout.entries}
        self._whole = _without_counters(shapes(self._unfused.state_dict()))

    def fits(self, found: Shapes) -> bool:
        """Whether a state of these shapes is one of this form, fused or with its batch norm."""
        return _without_counters(found) in (self._fused, self._whole)

    def named(self, found: Shapes) -> Shapes:
        """Shapes by name under this form's own names, if those are its names but for a prefix."""
        for wanted in (self._fused, self._whole):
            if (part := unwrapped(found, wanted)) is not None:
                return part
        return found

    def own(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """A state of this form, under its own names: what wrappers put before them is taken off.

        Raises:
            ValueError: it is none, and in what it differs; or it holds several networks.
        """
        for wanted in (self._fused, self._whole):
            found = unwrapped(state, wanted)
            if found is not None and self.fits(shapes(found)):
                return found
        wanted = max(self._whole, self._fused, key=lambda names: len(names.keys() & state.keys()))
        near = difference(shapes(unwrapped(state, wanted) or state), wanted)
        raise ValueError(
            f"its parameters are not those of {self.architecture} for images of "
            f"{self.image.channels}x{self.image.size}x{self.image.size} and {self.image.classes} "
            f"classes: {near}"
        )

    def rows(self, stack: Mapping[str, Tensor]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Rows [n, P] of stacked states [n, ...], fused if need be, and the raw batch norm.

        Raises:
            LayoutError, FuseError: naming the parameter that does not fit.
        """
        stack = {name: value.float() for name, value in stack.items()}
        batch_norm = {}
        if set(_without_counters(stack)) != set(self._fused):
            statistics = bn_statistics(stack, self._pairs, self._unfused)
            batch_norm = {name: value.numpy() for name, value in statistics.items()}
            stack = fuse_state(stack, self._pairs, self._unfused)
        return self.layout.flatten(stack).numpy(), batch_norm

    def ready(self, state: Mapping[str, Tensor]) -> nn.Module:
        """A module of its own in eval mode that holds a fused state."""
        module = copy.deepcopy(self.module)
        module.load_state_dict({name: value.clone() for name, value in state.items()})
        module.architecture = self.architecture
        return module.eval()


def load_network(zoo: Catalogue | str | Path, network: str, size: int | None = None) -> nn.Module:
    """A stored network, ready to use: batch norm fused, in eval mode, on the CPU.

    Args:
        zoo: a catalogue, its file, a shard, or a folder of shards.
        network: id of the network, such as `ResNet8-0012`.
        size: image size in pixels, where the shard does not say it and its layout leaves it open.

    Returns:
        The module; its `architecture` says which it is.

    Raises:
        CatalogueError, ShardError: no such network; a file is damaged.
        ArchitectureError: its architecture is not registered.
        ExchangeError: it is registered but differs from the stored one, or the image size is open.
    """
    zoo = open_zoo(zoo)
    state = zoo.state_dict(network)
    shard = zoo.root / zoo.frame.loc[zoo.frame["network"] == network, "shard"].iloc[0]
    header = read_header(shard)
    if header.architecture not in nets.fields():
        return stored_form(shard, size).ready(state)
    check_layout(header)
    field = nets.build_field(header.architecture, **header.arguments).eval()
    field.load_state_dict({name: value.clone() for name, value in state.items()})
    field.architecture = header.architecture
    return field


def stored_form(shard: str | Path, size: int | None = None) -> Form:
    """The form of the networks of a shard, from its `arguments` or else from its layout.

    Raises:
        ExchangeError: the architecture as registered has another layout, or several image sizes
            give this layout.
    """
    header = read_header(shard)
    found = {entry["name"]: tuple(entry["shape"]) for entry in header.layout}
    image = image_of(header.arguments)
    try:
        if image is None or size is not None:
            return find_form(header.architecture, found, size)
        form = Form(header.architecture, image)
    except ExchangeError as error:
        raise ExchangeError(f"{shard}: {error}") from None
    if form.layout.to_json() != header.layout:
        raise ExchangeError(
            f"{shard}: the layout stored there is not that of {header.architecture} as registered "
            f"here ({nets.module_of(header.architecture)})"
        )
    return form


def image_of(arguments: Mapping[str, Any]) -> Image | None:
    """The image that the `arguments` of a shard tell of; None if they do not."""
    known = [arguments.get(name) for name in ("channels", "size", "classes")]
    return Image(*known) if all(type(value) is int for value in known) else None


def find_form(architecture: str, found: Shapes, size: int | None = None) -> Form:
    """The form of an architecture that states of these shapes are of, fused or not.

    Channels and classes are read off the first and the last weight; sizes are tried.

    Raises:
        UnknownArchitecture: naming the known ones.
        ExchangeError: none fits, or several do and `size` does not say which.
    """
    nets.module_of(architecture)
    sizes = SIZES if size is None else (size,)
    forms = [form for one in sizes if (form := _fitting(architecture, found, one))]
    if len(forms) == 1:
        return forms[0]
    if not forms:
        raise ExchangeError(
            f"its parameters are not those of {architecture} for images of "
            f"{size if size is not None else ', '.join(map(str, SIZES))} pixels"
            f"{_nearest(architecture, found, sizes)}"
        )
    sizes = ", ".join(str(form.image.size) for form in forms)
    raise ExchangeError(
        f"{architecture} has these parameters for images of several sizes ({sizes} pixels): "
        "give the size"
    )


def _nearest(architecture: str, found: Shapes, sizes: Iterable[int]) -> str:
    """What differs from the first form that there is, where it is more than image and classes."""
    for size in sizes:
        with suppress(nets.ArchitectureError, ExchangeError):
            form = Form(architecture, Image(1, size, 10))
            try:
                form.own({name: torch.empty(shape, device="meta") for name, shape in found.items()})
            except ValueError as error:
                return f": {str(error).partition(' classes: ')[2] or error}"
    return ""


def _fitting(architecture: str, found: Shapes, size: int) -> Form | None:
    try:
        probe = Form(architecture, Image(1, size, 10))
        found = probe.named(found)
        weights = [entry.name for entry in probe.layout.entries if len(entry.shape) > 1]
        first, last = found[weights[0]], found[weights[-1]]
        for channels in (first[1],) if len(first) == 4 else (1, 3):
            form = Form(architecture, Image(channels, size, last[0]))
            if form.fits(found):
                return form
    except (nets.ArchitectureError, KeyError, IndexError):
        pass
    return None


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by name."""
    return {name: tuple(value.shape) for name, value in state.items()}


def _without_counters(named: Mapping[str, Any]) -> dict[str, Any]:
    """Without batch norm's step counters, which not every file keeps and nothing here needs."""
    return {k: v for k, v in named.items() if not k.endswith(".num_batches_tracked")}

"""What a shard says of itself, checked: everything but the bytes of its datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lib.zoo.store import container
from lib.zoo.store.container import Contents
from lib.zoo.store.format import (
    NAME,
    RESERVED,
    VERSION,
    Block,
    content_sha256,
    layout_problem,
    problem,
)

ATTRIBUTES = ("type", "version", "architecture", "arguments", "layout", "provenance", "sha256")
GROUPS = {"instances": ("<i8", "<f8", "|S"), "batch_norm": ("<f4",)}
MEMBERS = ("weights", "weights_sha256", *GROUPS)


@dataclass(frozen=True)
class Header:
    """All of a shard but its arrays.

    `sha256` covers the whole content; `blocks` holds the datasets by name, columns and tensors in
    their order, and last those that only a later version knows.
    """

    path: Path
    version: str
    architecture: str
    arguments: dict[str, Any]
    layout: list[dict[str, Any]]
    provenance: dict[str, Any]
    sha256: str
    blocks: dict[str, Block]

    @property
    def n(self) -> int:
        """Number of networks."""
        return self.blocks["weights"].shape[0]

    @property
    def parameters(self) -> int:
        """P, the number of parameters of each network."""
        return self.blocks["weights"].shape[1]

    @property
    def columns(self) -> list[str]:
        """Names of the instance columns, in order."""
        return self._members("instances/")

    @property
    def batch_norm(self) -> list[str]:
        """Names of the raw batch-norm tensors, in order."""
        return self._members("batch_norm/")

    def _members(self, group: str) -> list[str]:
        return [name[len(group) :] for name in self.blocks if name.startswith(group)]


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[BinaryIO, Header]]:
    """The file's bytes and its checked header.

    Raises:
        ShardError: the file cannot be read, is no shard, or its header is damaged.
    """
    with container.opened(path) as (stream, contents):
        yield stream, _header(contents)


def whole(stream: BinaryIO, header: Header, name: str, verify: bool = True) -> np.ndarray:
    """A dataset [n, ...], compared with its digest unless told not to."""
    return container.whole(stream, header.path, name, header.blocks[name], verify)


def some(stream: BinaryIO, header: Header, name: str, rows: np.ndarray) -> np.ndarray:
    """Rows [k] of a dataset, unchecked: [k, ...]; neighbouring rows are read in one go."""
    block = header.blocks[name]
    values = np.empty((len(rows), *block.shape[1:]), block.dtype)
    scatter(stream, header, name, rows, values, np.arange(len(rows)))
    return values


def scatter(
    stream: BinaryIO,
    header: Header,
    name: str,
    rows: np.ndarray,
    values: np.ndarray,
    places: np.ndarray,
) -> None:
    """Read rows [k] of a dataset, unchecked, to the `places` [k] of `values` [m, ...]."""
    block, target = header.blocks[name], container.raw(values)
    width = block.row_bytes
    first, length = runs(len(rows), (np.diff(rows) != 1) | (np.diff(places) != 1))
    numbers = block.offset + rows[first] * width, places[first] * width, length * width
    for there, here, size in zip(*(column.tolist() for column in numbers), strict=True):
        container.fill(stream, header.path, name, there, target[here : here + size])


def runs(n: int, breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First place and length of each stretch of n things, given the n - 1 breaks between."""
    first = np.concatenate([np.arange(min(n, 1)), np.flatnonzero(breaks) + 1])
    return first, np.diff(first, append=n)


def _header(contents: Contents) -> Header:
    path, texts = contents.path, contents.texts
    if missing := [name for name in ATTRIBUTES if name not in texts]:
        raise problem(path, f"the attribute {missing[0]!r} is missing")
    for name in MEMBERS:
        if name not in contents.groups and name not in contents.blocks:
            raise problem(path, "missing", name)
        if (name in GROUPS) != (name in contents.groups):
            raise problem(path, f"{name!r} is not a {'group' if name in GROUPS else 'dataset'}")
    if not contents.newer:
        known = {*ATTRIBUTES, *MEMBERS, *(f"{group}/order" for group in GROUPS)}
        members = {name.split("/")[0] for name in (*contents.blocks, *contents.groups)}
        if found := sorted({*texts, *members} - known):
            version = ".".join(map(str, VERSION))
            raise problem(path, f"holds {found[0]!r}, which version {version} does not know")
    if not NAME.fullmatch(texts["architecture"]):
        raise problem(path, "the attribute 'architecture' is not a name")
    layout = _json(path, texts, "layout")
    if what := layout_problem(layout):
        raise problem(path, f"the attribute 'layout': {what}")
    objects = {name: _json(path, texts, name) for name in ("arguments", "provenance")}
    for name, value in objects.items():
        if not isinstance(value, dict):
            raise problem(path, f"the attribute {name!r} must be a JSON object")
    blocks = _blocks(contents, sum(entry["size"] for entry in layout))
    if content_sha256(texts["version"], texts, contents.blocks) != texts["sha256"]:
        raise problem(path, "damaged: the attribute 'sha256' does not fit the header")
    return Header(
        path,
        texts["version"],
        texts["architecture"],
        objects["arguments"],
        layout,
        objects["provenance"],
        texts["sha256"],
        blocks,
    )


def _blocks(contents: Contents, parameters: int) -> dict[str, Block]:
    """The datasets in order; their types and shapes agree with each other and with the layout."""
    path, found = contents.path, contents.blocks
    kinds = {"weights": ("<f4",), "weights_sha256": ("|u1",)}
    for group, allowed in GROUPS.items():
        for name in _order(contents, group):
            if group == "instances" and name in RESERVED:
                raise problem(path, f"instances holds {name!r}, which is not an allowed name")
            kinds[f"{group}/{name}"] = allowed
    for name, allowed in kinds.items():
        if not found[name].dtype.startswith(allowed):
            expected = " or ".join(allowed)
            raise problem(path, f"dtype {found[name].dtype}, expected {expected}", name)
    n, shape = found["weights"].shape[0], found["weights"].shape
    if shape != (n, parameters):
        raise problem(
            path,
            f"shape {shape}, expected (n, {parameters}): the layout has {parameters} parameters",
            "weights",
        )
    for name in kinds:
        shape = found[name].shape
        wanted = {"weights_sha256": (n, 32)}.get(name, (n, *shape[1:]))
        if shape != wanted or (name.startswith("instances/") and len(shape) > 1):
            raise problem(path, f"shape {shape}, but there are {n} networks", name)
    end = 0
    for name, block in sorted(found.items(), key=lambda item: item[1].offset):
        if block.offset < end:
            raise problem(path, "its bytes overlap another dataset's", name)
        end = block.offset + block.nbytes
    return {name: found[name] for name in [*kinds, *sorted(set(found) - set(kinds))]}


def _order(contents: Contents, group: str) -> list[str]:
    """The members of a group, in the order that its attribute gives."""
    name = f"{group}/order"
    if name not in contents.texts:
        raise problem(contents.path, f"the attribute 'order' of /{group} is missing")
    order = _json(contents.path, contents.texts, name)
    if (
        not isinstance(order, list)
        or not all(isinstance(one, str) for one in order)
        or sorted(order) != sorted(contents.groups[group])
    ):
        what = f"the attribute 'order' of {group!r} does not list its datasets"
        raise problem(contents.path, what)
    return order


def _json(path: Path, texts: dict[str, str], name: str) -> Any:
    try:
        return json.loads(texts[name], parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise problem(path, f"the attribute {name!r} is not JSON: {error}") from error


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")

"""Opening a shard's file: HDF5 says where the bytes lie, plain reads fetch them.

Nothing is believed before it is checked: links, dtypes and storage of every dataset are compared
with FORMAT.md and with the real size of the file before memory is set aside for it.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from lib.store.format import (
    NAME,
    RESERVED,
    TYPE,
    VERSION,
    Block,
    ShardError,
    array_sha256,
    content_sha256,
    layout_problem,
    problem,
)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
FLOAT = (h5py.h5t.IEEE_F32LE, "<f4")
BYTE = (h5py.h5t.STD_U8LE, "|u1")
COLUMN = ((h5py.h5t.STD_I64LE, "<i8"), (h5py.h5t.IEEE_F64LE, "<f8"))
ATTRIBUTES = {"type", "version", "architecture", "layout", "provenance", "sha256"}
MEMBERS = {"weights", "weights_sha256", "instances", "batch_norm"}


@dataclass(frozen=True)
class Header:
    """All of a shard but its arrays.

    `sha256` covers the whole content; `blocks` holds the datasets by name, in their order.
    """

    path: Path
    architecture: str
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
    path = Path(path)
    if not path.exists():
        raise problem(path, "no such file")
    if not path.is_file():
        raise problem(path, "not a file")
    try:
        stream = path.open("rb")
    except OSError as error:
        raise problem(path, f"cannot be read: {error.strerror}") from error
    with stream:
        size = os.fstat(stream.fileno()).st_size
        _check_superblock(path, stream.read(48), size)
        try:
            with h5py.File(path, "r", locking=False) as file:
                header = _header(path, file, size)
        except ShardError:
            raise
        except (
            OSError,
            RuntimeError,
            KeyError,
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise problem(path, f"damaged, its structure cannot be read: {error}") from error
        yield stream, header


def whole(stream: BinaryIO, header: Header, name: str, verify: bool = True) -> np.ndarray:
    """A dataset [n, ...], compared with its digest unless told not to."""
    block = header.blocks[name]
    values = np.empty(block.shape, block.dtype)
    _fill(stream, header, name, block.offset, values)
    if verify and array_sha256(values) != block.sha256:
        raise problem(header.path, "damaged: its bytes differ from its SHA-256", name)
    return values


def some(stream: BinaryIO, header: Header, name: str, rows: np.ndarray) -> np.ndarray:
    """Rows [k] of a dataset, unchecked: [k, ...]; neighbouring rows are read in one go."""
    block = header.blocks[name]
    values = np.empty((len(rows), *block.shape[1:]), block.dtype)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(rows) != 1) + 1, [len(rows)]])
    for first, last in zip(starts[:-1], starts[1:], strict=True):
        if first < last:
            place = block.offset + int(rows[first]) * block.row_bytes
            _fill(stream, header, name, place, values[first:last])
    return values


def _fill(stream: BinaryIO, header: Header, name: str, place: int, values: np.ndarray) -> None:
    target = memoryview(values.reshape(-1).view(np.uint8))
    stream.seek(place)
    done = 0
    while done < len(target):
        count = stream.readinto(target[done:])
        if not count:
            raise problem(header.path, "the file ends inside it", name)
        done += count


def _check_superblock(path: Path, head: bytes, size: int) -> None:
    """Compare the first 48 bytes with FORMAT.md and the size they promise with the real one."""
    if head[:8] != SIGNATURE:
        raise problem(path, "not an HDF5 file" if size else "an empty file, expected a shard")
    if len(head) < 48:
        raise problem(path, f"truncated: only {size} bytes are left")
    if head[8] not in (2, 3) or head[9:11] != b"\x08\x08":
        raise problem(
            path,
            "an HDF5 file, but not a shard: its superblock is of version "
            f"{head[8]}, expected 2 or 3 with 8-byte addresses",
        )
    base, _, end = struct.unpack("<QQQ", head[12:36])
    if base or end != size:
        raise problem(
            path, f"truncated or damaged: it has {size} bytes, its superblock says {base + end}"
        )


def _header(path: Path, file: h5py.File, size: int) -> Header:
    kind = _text(path, file, "type", size)
    if kind != TYPE:
        raise problem(path, f"of type {kind!r}, expected {TYPE!r}")
    version = h5py.h5a.open(file.id, b"version") if "version" in file.attrs else None
    if version is None:
        raise problem(path, "the attribute 'version' is missing")
    if version.shape != () or not version.get_type().equal(h5py.h5t.STD_I64LE):
        raise problem(path, "the attribute 'version' must be one 64-bit integer")
    if int(file.attrs["version"]) != VERSION:
        raise problem(
            path, f"of version {int(file.attrs['version'])}; this program reads version {VERSION}"
        )
    texts = {name: _text(path, file, name, size) for name in sorted(ATTRIBUTES - {"version"})}
    if not NAME.fullmatch(texts["architecture"]):
        raise problem(path, "the attribute 'architecture' is not a name")
    if extra := sorted(set(file.attrs) - ATTRIBUTES) + sorted(set(file) - MEMBERS):
        raise problem(path, f"holds {extra[0]!r}, which version {VERSION} does not know")
    layout = _json(path, texts["layout"], "layout")
    if what := layout_problem(layout):
        raise problem(path, f"the attribute 'layout': {what}")
    provenance = _json(path, texts["provenance"], "provenance")
    if not isinstance(provenance, dict):
        raise problem(path, "the attribute 'provenance' must be a JSON object")
    blocks = _blocks(path, file, layout, size)
    sha256 = content_sha256(texts["architecture"], texts["layout"], texts["provenance"], blocks)
    if sha256 != texts["sha256"]:
        raise problem(path, "damaged: the attribute 'sha256' does not fit the header")
    return Header(path, texts["architecture"], layout, provenance, sha256, blocks)


def _blocks(
    path: Path,
    file: h5py.File,
    layout: list[dict[str, Any]],
    size: int,
) -> dict[str, Block]:
    """Place of every dataset, in order; shapes agree with each other and with the layout."""
    parameters = sum(entry["size"] for entry in layout)
    weights = _block(path, file, "weights", (FLOAT,), size)
    n = weights.shape[0]
    if weights.shape != (n, parameters):
        raise problem(
            path,
            f"shape {weights.shape}, expected (n, {parameters}): the layout has "
            f"{parameters} parameters",
            "weights",
        )
    blocks = {
        "weights": weights,
        "weights_sha256": _block(path, file, "weights_sha256", (BYTE,), size),
    }
    for name in ("instances", "batch_norm"):
        group = _member(path, file, name)
        if not isinstance(group, h5py.Group):
            raise problem(path, f"{name!r} is not a group")
        order = _json(path, _text(path, group, "order", size), f"{name}/order")
        if (
            not isinstance(order, list)
            or not all(isinstance(one, str) for one in order)
            or sorted(order) != sorted(group)
        ):
            raise problem(path, f"the attribute 'order' of {name!r} does not list its datasets")
        kinds = COLUMN if name == "instances" else (FLOAT,)
        for one in order:
            if not NAME.fullmatch(one) or (name == "instances" and one in RESERVED):
                raise problem(path, f"{name} holds {one!r}, which is not an allowed name")
            blocks[f"{name}/{one}"] = _block(path, file, f"{name}/{one}", kinds, size)
    for name, block in blocks.items():
        expected = {"weights_sha256": (n, 32)}.get(name, (n, *block.shape[1:]))
        if block.shape != expected or (name.startswith("instances/") and len(block.shape) > 1):
            raise problem(path, f"shape {block.shape}, but there are {n} networks", name)
    end = 0
    for name, block in sorted(blocks.items(), key=lambda item: item[1].offset):
        if block.offset < end:
            raise problem(path, "its bytes overlap another dataset's", name)
        end = block.offset + block.nbytes
    return blocks


def _block(path: Path, file: h5py.File, name: str, kinds: tuple, size: int) -> Block:
    dataset = _member(path, file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise problem(path, "not a dataset", name)
    stored, how = dataset.id.get_type(), dataset.id.get_create_plist()
    if kinds is COLUMN and isinstance(stored, h5py.h5t.TypeStringID):
        if (
            stored.is_variable_str()
            or stored.get_cset() != h5py.h5t.CSET_UTF8
            or stored.get_strpad() != h5py.h5t.STR_NULLPAD
        ):
            raise problem(path, "texts must be of fixed length, UTF-8, padded with NUL", name)
        dtype = f"|S{stored.get_size()}"
    else:
        dtype = next((dtype for kind, dtype in kinds if stored.equal(kind)), "")
        if not dtype:
            allowed = " or ".join(dtype for _, dtype in kinds)
            raise problem(path, f"dtype {dataset.dtype}, expected {allowed}", name)
    if how.get_layout() != h5py.h5d.CONTIGUOUS or how.get_nfilters() or how.get_external_count():
        raise problem(path, "must be stored contiguously, in this file, without filters", name)
    if dataset.id.get_space().get_simple_extent_type() != h5py.h5s.SIMPLE or not dataset.shape:
        raise problem(path, "not an array", name)
    shape, offset = tuple(map(int, dataset.shape)), dataset.id.get_offset()
    block = Block(dtype, shape, offset or 0, _text(path, dataset, "sha256", size, name))
    if 0 in shape:
        raise problem(path, f"shape {shape}: empty", name)
    stored_bytes = dataset.id.get_storage_size()
    if offset is None or stored_bytes != block.nbytes or offset + block.nbytes > size:
        raise problem(
            path,
            f"claims {block.nbytes} bytes (shape {shape}), the file stores "
            f"{min(stored_bytes, size) if offset is not None else 0}",
            name,
        )
    return block


def _member(path: Path, file: h5py.File, name: str) -> h5py.Group | h5py.Dataset:
    """A group or dataset held by a hard link; soft and external links are not followed."""
    parent, _, own = name.rpartition("/")
    group = file[parent] if parent else file
    if not group.id.links.exists(own.encode()):
        raise problem(path, "missing", name)
    if group.id.links.get_info(own.encode()).type != h5py.h5l.TYPE_HARD:
        raise problem(path, "a soft or external link; links are not followed", name)
    return group[own]


def _text(path: Path, item: Any, name: str, size: int, dataset: str | None = None) -> str:
    """A scalar text attribute of fixed length."""
    where = f"the attribute {name!r}" + ("" if dataset or item.name == "/" else f" of {item.name}")
    if not h5py.h5a.exists(item.id, name.encode()):
        raise problem(path, f"{where} is missing", dataset)
    attribute = h5py.h5a.open(item.id, name.encode())
    kind = attribute.get_type()
    if (
        not isinstance(kind, h5py.h5t.TypeStringID)
        or kind.is_variable_str()
        or attribute.shape != ()
        or kind.get_size() > size
    ):
        raise problem(path, f"{where} must be one text of fixed length", dataset)
    value = np.empty((), f"S{kind.get_size()}")
    attribute.read(value)
    return value.item().decode()


def _json(path: Path, text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise problem(path, f"the attribute {name!r} is not JSON: {error}") from error

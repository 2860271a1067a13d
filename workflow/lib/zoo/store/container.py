"""Opening a file of the format: HDF5 says where the bytes lie, plain reads fetch them.

Nothing is believed before it is checked: links, types and storage of every attribute and dataset
are compared with FORMAT.md and with the real size of the file before memory is set aside for them.
What they mean is `header`'s business.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from lib.zoo.store.format import (
    NAME,
    TYPE,
    VERSION,
    Block,
    ShardError,
    array_sha256,
    problem,
)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
DTYPES = (
    (h5py.h5t.IEEE_F32LE, "<f4"),
    (h5py.h5t.IEEE_F64LE, "<f8"),
    (h5py.h5t.STD_I64LE, "<i8"),
    (h5py.h5t.STD_U8LE, "|u1"),
)
UNREADABLE = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True)
class Contents:
    """Text attributes (`layout`, `instances/order`) and datasets of a file, by path.

    `newer` says that the file's minor version is one that this program does not know.
    """

    path: Path
    texts: dict[str, str]
    blocks: dict[str, Block]
    groups: dict[str, list[str]]
    newer: bool


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[BinaryIO, Contents]]:
    """The file's bytes, and what it holds.

    Raises:
        ShardError: the file cannot be read, is no shard, or its structure is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise problem(path, "no such file")
    if not path.is_file():
        raise problem(path, "not a file")
    try:
        stream = path.open("rb", buffering=0)
    except OSError as error:
        raise problem(path, f"cannot be read: {error.strerror}") from error
    with stream:
        size = os.fstat(stream.fileno()).st_size
        _check_superblock(path, stream.read(48), size)
        try:
            with h5py.File(path, "r", locking=False) as file:
                contents = _contents(path, file, size)
        except ShardError:
            raise
        except UNREADABLE as error:
            raise problem(path, f"damaged, its structure cannot be read: {error}") from error
        yield stream, contents


def whole(stream: BinaryIO, path: Path, name: str, block: Block, verify: bool = True) -> np.ndarray:
    """A dataset [n, ...], compared with its digest unless told not to."""
    values = np.empty(block.shape, block.dtype)
    fill(stream, path, name, block.offset, raw(values))
    if verify and array_sha256(values) != block.sha256:
        raise problem(path, "damaged: its bytes differ from its SHA-256", name)
    return values


def raw(values: np.ndarray) -> memoryview:
    """The bytes of a C-contiguous array, to be read or written."""
    return memoryview(values.reshape(-1).view(np.uint8))


def fill(stream: BinaryIO, path: Path, name: str, place: int, target: memoryview) -> None:
    """Read the bytes at `place` of the file until `target` is full."""
    done = 0
    while done < len(target):
        try:
            count = os.preadv(stream.fileno(), [target[done:]], place + done)
        except OSError as error:
            raise problem(path, f"cannot be read: {error.strerror}", name) from error
        if not count:
            raise problem(path, "the file ends inside it", name)
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


def _contents(path: Path, file: h5py.File, size: int) -> Contents:
    """Everything the file holds; one level of groups."""
    kind = _text(path, file, "type", size)
    if kind != TYPE:
        raise problem(path, f"of type {kind!r}, expected {TYPE!r}")
    newer = _newer(path, _text(path, file, "version", size))
    texts = {name: _text(path, file, name, size) for name in file.attrs}
    blocks, groups = {}, {}
    for name in file:
        item = _member(path, file, name)
        if isinstance(item, h5py.Group):
            groups[name] = list(item)
            texts |= {f"{name}/{own}": _text(path, item, own, size) for own in item.attrs}
            for own in groups[name]:
                inner = f"{name}/{own}"
                blocks[inner] = _block(path, _member(path, file, inner), inner, size)
        else:
            blocks[name] = _block(path, item, name, size)
    if odd := [name for one in (texts, blocks) for name in one if not _path(name)]:
        raise problem(path, f"{odd[0]!r} is not an allowed name")
    return Contents(path, texts, blocks, groups, newer)


def _newer(path: Path, version: str) -> bool:
    """Whether a file's minor version is above the known one; another major one is refused."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})", version)
    if not match:
        raise problem(path, f"the attribute 'version' is {version!r}, expected one such as '1.0'")
    major, minor = map(int, match.groups())
    if major != VERSION[0]:
        raise problem(path, f"of version {version}; this program reads versions {VERSION[0]}.x")
    return minor > VERSION[1]


def _path(name: str) -> bool:
    return all(NAME.fullmatch(part) for part in name.split("/"))


def _block(path: Path, dataset: Any, name: str, size: int) -> Block:
    if not isinstance(dataset, h5py.Dataset):
        raise problem(path, "not a dataset", name)
    dtype, how = _dtype(path, dataset, name), dataset.id.get_create_plist()
    if how.get_layout() != h5py.h5d.CONTIGUOUS or how.get_nfilters() or how.get_external_count():
        raise problem(path, "must be stored contiguously, in this file, without filters", name)
    if dataset.id.get_space().get_simple_extent_type() != h5py.h5s.SIMPLE or not dataset.shape:
        raise problem(path, "not an array", name)
    shape, offset = tuple(map(int, dataset.shape)), dataset.id.get_offset()
    block = Block(dtype, shape, offset or 0, _text(path, dataset, "sha256", size, name))
    if extra := sorted(set(dataset.attrs) - {"sha256"}):
        raise problem(path, f"has an attribute {extra[0]!r}; only 'sha256' is allowed", name)
    if 0 in shape:
        raise problem(path, f"shape {shape}: empty", name)
    stored = dataset.id.get_storage_size()
    if offset is None or stored != block.nbytes or offset + block.nbytes > size:
        raise problem(
            path,
            f"claims {block.nbytes} bytes (shape {shape}), the file stores "
            f"{min(stored, size) if offset is not None else 0}",
            name,
        )
    return block


def _dtype(path: Path, dataset: h5py.Dataset, name: str) -> str:
    stored = dataset.id.get_type()
    if isinstance(stored, h5py.h5t.TypeStringID):
        if (
            stored.is_variable_str()
            or stored.get_cset() != h5py.h5t.CSET_UTF8
            or stored.get_strpad() != h5py.h5t.STR_NULLPAD
        ):
            raise problem(path, "texts must be of fixed length, UTF-8, padded with NUL", name)
        return f"|S{stored.get_size()}"
    for kind, dtype in DTYPES:
        if stored.equal(kind):
            return dtype
    raise problem(path, f"dtype {dataset.dtype}, which the format does not know", name)


def _member(path: Path, file: h5py.File, name: str) -> h5py.Group | h5py.Dataset:
    """A group or dataset held by a hard link; soft and external links are not followed."""
    parent, _, own = name.rpartition("/")
    group = file[parent] if parent else file
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
        or kind.get_strpad() != h5py.h5t.STR_NULLPAD
        or attribute.shape != ()
        or kind.get_size() > size
    ):
        raise problem(path, f"{where} must be one text of fixed length", dataset)
    value = np.empty((), f"S{kind.get_size()}")
    attribute.read(value)
    if b"\0" in value.item():
        raise problem(path, f"{where} has a NUL character in it", dataset)
    return value.item().decode()

"""Damage for files: bytes changed anywhere, and HDF5 forged and edited so that it is still read."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from hypothesis import strategies as st

EDITS = ("flip", "zero", "ones", "noise", "cut", "drop", "copy", "insert", "end", "number")
NUMBERS = (0, 1, 255, 2**15, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
edits = st.lists(
    st.tuples(
        st.sampled_from(EDITS),
        st.integers(0, 2**20 - 1),  # where, as a share of the file
        st.integers(0, 2**20 - 1),
        st.sampled_from((1, 1, 2, 4, 8, 64, 512)),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data: bytes, changes: list, head: int | None = None) -> bytes:
    """A copy with some changes, in its first `head` bytes where that is given."""
    copy = bytearray(data)
    for how, first, second, length in changes:
        reach = min(head or len(copy), len(copy))
        at = first * reach >> 20
        part = slice(at, at + length)
        size = len(copy[part])
        if how == "flip" and size:
            copy[at] ^= 1 << second % 8
        elif how == "zero":
            copy[part] = bytes(size)
        elif how == "ones":
            copy[part] = b"\xff" * size
        elif how == "noise":
            copy[part] = random.Random(second).randbytes(size)
        elif how == "cut":
            del copy[at:]
        elif how == "drop":
            del copy[part]
        elif how == "copy":
            other = second * len(copy) >> 20
            copy[part] = copy[other : other + size]
        elif how == "insert":
            copy[at:at] = random.Random(second).randbytes(length)
        elif how == "end":
            copy += random.Random(second).randbytes(length)
        elif how == "number":
            width = (1, 2, 4, 8)[second % 4]
            number = NUMBERS[second // 4 % len(NUMBERS)] % 2 ** (8 * width)
            copy[at : at + width] = number.to_bytes(width, ("little", "big")[second // 64 % 2])
    return bytes(copy)


# What HDF5 protects with checksums, forged to fit: so the damage reaches the code behind them.

MASK = 0xFFFFFFFF
SIGNATURES = (b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FSHD", b"FSSE")


def turned(value: int, by: int) -> int:
    """A number of 32 bits, rotated to the left."""
    return (value << by | value >> (32 - by)) & MASK


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash (lookup3.c, public domain), the checksum of HDF5's metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & MASK
    at = 0
    while len(data) - at > 12:
        x, y, z = struct.unpack_from("<3I", data, at)
        a, b, c, at = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK, at + 12
        for by in (4, 6, 8, 16, 19, 4):
            a, c = ((a - c) & MASK) ^ turned(c, by), (c + b) & MASK
            a, b, c = b, c, a
    if len(data) == at:
        return c
    x, y, z = struct.unpack("<3I", data[at:].ljust(12, b"\0"))
    a, b, c = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - turned(b, by)) & MASK
        a, b, c = b, c, a
    return b


def checked_blocks(data: bytes) -> list[tuple[int, int]]:
    """Beginning and end of each block of a sound file that its checksum follows."""
    found = [(0, 44)]
    for start in sorted(m.start() for m in re.finditer(b"|".join(SIGNATURES), data)):
        ends = range(start + 8, min(start + 600, len(data) - 3))
        stored = (end for end in ends if data[end : end + 4] == checksum(data[start:end]))
        found += [(start, end) for end in stored][:1]
    return found


def checksum(block: bytes) -> bytes:
    """The four bytes that follow a block."""
    return lookup3(block).to_bytes(4, "little")


def forger(data: bytes) -> Callable[[bytes], bytes]:
    """What gives damaged copies of a file of HDF5 the checksums that fit."""
    blocks = checked_blocks(data)
    assert len(blocks) > 3

    def forge(damaged: bytes) -> bytes:
        copy = bytearray(damaged)
        for start, end in blocks:
            if end + 4 <= len(copy):
                copy[end : end + 4] = checksum(bytes(copy[start:end]))
        return bytes(copy)

    return forge


# What attributes and datasets are replaced with.
STRANGE = {
    "vlen": "text",
    "unicode": "\N{SNOWMAN}" * 5,
    "number": 2**40,
    "negative": -1,
    "nan": float("nan"),
    "bytes": np.bytes_("x" * 50_000),
    "array": np.arange(12).reshape(3, 4),
    "empty": np.zeros(0),
    "null": h5py.Empty("f"),
    "objects": np.array(["a", "b"], h5py.string_dtype()),
    "json": np.bytes_("[" * 5_000),
    "path": np.bytes_("../../etc/passwd"),
}


def strange_edits(names: list[str]) -> st.SearchStrategy:
    """Where (an attribute `path@name` or a dataset), and what to put there or how to store it."""
    ways = [*STRANGE, "remove", "soft", "external", "raw", "virtual", "gzip", "huge", "itself"]
    return st.tuples(st.sampled_from(names), st.sampled_from(ways))


def members(path: Path) -> list[str]:
    """All attributes (`path@name`) and datasets of a file."""
    found: list[str] = []
    with h5py.File(path) as file:

        def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
            found.extend([name] if name else [])
            found.extend(f"{name}@{own}" for own in item.attrs)

        add("", file)
        file.visititems(add)
    return found


def edit(path: Path, change: tuple[str, str]) -> None:
    """Put something strange in the place of an attribute or of a dataset."""
    (where, _, own), how = change[0].partition("@"), change[1]
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        holder = file[where or "/"]
        if own:
            if how in STRANGE:
                holder.attrs[own] = STRANGE[how]
            else:
                del holder.attrs[own]
            return
        shape, dtype, attributes = (
            getattr(holder, "shape", (3,)),
            getattr(holder, "dtype", "f4"),
            dict(holder.attrs),
        )
        del file[where]
        if how in STRANGE:
            file[where] = STRANGE[how]
        elif how == "soft":
            file[where] = h5py.SoftLink("/")
        elif how == "external":
            file[where] = h5py.ExternalLink(str(path), "/")
        elif how == "itself":
            file[where] = file["/"]
        elif how == "raw":
            file.create_dataset(where, shape, dtype, external=[("/etc/passwd", 0, 10**6)])
        elif how == "virtual":
            layout = h5py.VirtualLayout(shape, dtype)
            layout[...] = h5py.VirtualSource(str(path), "weights", shape)
            file.create_virtual_dataset(where, layout)
        elif how == "gzip":
            file.create_dataset(where, shape, dtype, compression="gzip", chunks=shape)
        elif how == "huge":
            file.create_dataset(where, (2**40, *shape[1:]), dtype)
        if where in file and isinstance(file.get(where, getlink=True), h5py.HardLink):
            for key, value in attributes.items():
                file[where].attrs.setdefault(key, value)

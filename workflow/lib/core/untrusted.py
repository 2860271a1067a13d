"""What readers of files from elsewhere share: only plain files, and no more memory than they earn.

`docs/guides/security.md` says what is trusted, what is checked, and where.
"""

from __future__ import annotations

import errno
import math
import os
import reprlib
import stat
from pathlib import Path
from typing import Any, BinaryIO

import h5py

SLACK = 1 << 30  # bytes that any archive may unpack to
RATIO = 200  # beyond that, how often its own size; pictures and meshes stay far below

_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 2, 80, 80


def shown(value: object) -> str:
    """A value from outside as an error message shows it: short, however deep it goes."""
    try:
        return _short.repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return f"{type(value).__name__} too long to show"


def regular(path: str | Path) -> Path:
    """The path of a regular file; what is behind a link counts.

    Raises:
        OSError: there is none, or a pipe or a device that reading would never end of.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return Path(path)


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a path in a folder is one that nobody put there: hidden, or an extra of macOS.

    Editors, notebooks and file managers leave such (`._x`, `.ipynb_checkpoints`), and so does a
    killed job of ours (`.x.HOST-PID-y`).
    """
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def most_unpacked(size: int) -> int:
    """Bytes that an archive of `size` bytes may unpack to."""
    return SLACK + RATIO * size


class Bounded:
    """A stream that ends in an error where more is unpacked than `most_unpacked` allows."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.most, self.length = stream, most_unpacked(size), 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all of them if it is negative.

        Raises:
            ValueError: that is too much.
        """
        left = self.most - self.length + 1
        data = self.stream.read(left if size < 0 else min(size, left))
        self.length += len(data)
        if self.length > self.most:
            raise ValueError(f"it unpacks to more than {self.most} bytes, {RATIO} times its size")
        return data

    def readable(self) -> bool:
        """Yes; io.TextIOWrapper and pandas ask."""
        return True

    def __iter__(self):
        """Never used by pandas for binary streams, but what it takes for a file has it."""
        return iter(lambda: self.read(1 << 16), b"")


def plain_dataset(file: h5py.File, name: str, size: int) -> h5py.Dataset:
    """The dataset of this name in an HDF5 file of `size` bytes, if its bytes lie there as they are.

    Raises:
        ValueError: it is missing or only a link, it lies in another file, it has filters (whose
            chunks may unpack to anything), its text is of variable length (HDF5 believes where that
            lies and may crash), or it claims more bytes than the file has.
    """
    link = file.get(name, getlink=True)
    dataset = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"dataset {name} is missing")
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"dataset {name} is compressed or filtered")
    _check_storage(f"dataset {name}", dataset, size)
    return dataset


def plain_attribute(file: h5py.File, name: str, size: int) -> Any:
    """Numbers or text of an attribute of an HDF5 file of `size` bytes, if it holds them itself.

    Raises:
        ValueError: it is missing, it points to values elsewhere in the file, which HDF5 believes
            and may crash at, or it claims more bytes than the file has.
    """
    if name not in file.attrs:
        raise ValueError(f"attribute {name} is missing")
    _check_storage(f"attribute {name}", file.attrs.get_id(name), size)
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else value


def _check_storage(what: str, stored: h5py.Dataset | h5py.h5a.AttrID, size: int) -> None:
    if stored.dtype.kind not in "iufS":
        raise ValueError(f"{what} holds neither numbers nor text of a fixed length")
    if stored.shape is None or math.prod(stored.shape) * stored.dtype.itemsize > size:
        raise ValueError(f"{what} claims more bytes than the file has")

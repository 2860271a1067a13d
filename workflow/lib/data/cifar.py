"""CIFAR-10 as published: pickled batches, read without running anything that is in them."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from lib.core.untrusted import shown
from lib.data.archive import DataError, entries

SHAPE = (3, 32, 32)
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"
META = "batches.meta"
REMEMBERS = ("PUT", "BINPUT", "LONG_BINPUT")


class Cifar(NamedTuple):
    """Pixels uint8 [n, 3, 32, 32] and labels int64 [n] in the published order."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: tuple[str, ...]


def read_cifar10(path: str | Path) -> Cifar:
    """CIFAR-10 from `cifar-10-python.tar.gz` or from the folder it extracts to.

    Raises:
        DataError: a damaged archive, a missing batch, a batch that is not one (a pickle that asks
            for anything but lists, texts, numbers and byte arrays included), a label out of range.
    """
    wanted = {*TRAIN, TEST, META}
    batches = {}
    for entry in entries(path):
        name = PurePosixPath(entry.name).name
        if name in wanted and not entry.is_folder:
            batches[name] = _unpickle(entry.read(), f"{path}: {name}")
    for name in sorted(wanted - set(batches)):
        raise DataError(
            f"{path}: {name} is missing; expected the published python version of "
            f"CIFAR-10 with {', '.join((*TRAIN, TEST, META))}"
        )
    classes = _classes(batches[META], f"{path}: {META}")
    read = {name: _batch(batches[name], len(classes), f"{path}: {name}") for name in (*TRAIN, TEST)}
    train = tuple(np.concatenate(parts) for parts in zip(*(read[n] for n in TRAIN), strict=True))
    return Cifar(train, read[TEST], classes)


def _classes(meta: dict, where: str) -> tuple[str, ...]:
    names = meta.get(b"label_names")
    if not (isinstance(names, list) and names and all(isinstance(n, bytes) for n in names)):
        raise DataError(f"{where} has no list of label_names")
    return tuple(name.decode("utf-8", "replace") for name in names)


def _batch(batch: dict, classes: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    data, labels = batch.get(b"data"), batch.get(b"labels")
    if not (isinstance(data, _Array) and isinstance(labels, list)):
        raise DataError(f"{where} has no array `data` with a list `labels`")
    if data.shape != (len(labels), math.prod(SHAPE)):
        raise DataError(
            f"{where}: data has shape {data.shape}, expected "
            f"({len(labels)}, {math.prod(SHAPE)}): one row per label"
        )
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < classes:
            raise DataError(
                f"{where}: label {shown(label)} of image {row} is out of range, expected "
                f"0 to {classes - 1}"
            )
    pixels = np.frombuffer(data.raw, np.uint8).reshape(-1, *SHAPE)
    return pixels, np.asarray(labels, np.int64)


class _DType:
    """Stands for a pickled numpy dtype; bytes are the only one the batches need."""

    def __init__(self, code: bytes, *_: Any):
        if code not in (b"u1", b"uint8", "u1"):
            raise pickle.UnpicklingError(f"an array of type {shown(code)}, expected uint8")

    def __setstate__(self, state: Any) -> None:
        pass


class _Array:
    """Stands for a pickled numpy array of bytes: its shape and its raw content, checked."""

    shape: tuple[int, ...] = ()
    raw: bytes = b""

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not (isinstance(dtype, _DType) and isinstance(raw, bytes) and not fortran):
            raise pickle.UnpicklingError("an array that is not plain bytes in rows")
        if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) != len(raw):
            raise pickle.UnpicklingError(f"{len(raw)} bytes for an array of shape {shown(shape)}")
        self.shape, self.raw = shape, raw


class _NDArray:
    """Stands for the type `numpy.ndarray`, which the pickles name and never use."""


class _Unpickler(pickle.Unpickler):
    """Knows the three names that the batches use, and each stands for a class of this module."""

    known = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _NDArray,
        ("numpy", "dtype"): _DType,
    }

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return self.known[module, name]


def _check_places(data: bytes) -> None:
    """Refuse a pickle that numbers what it remembers so high that room for it would fill memory."""
    for operation, place, _ in pickletools.genops(data):
        if operation.name in REMEMBERS and place > len(data):
            raise pickle.UnpicklingError(f"it remembers a thing number {place}")


def _unpickle(data: bytes, where: str) -> dict:
    try:
        _check_places(data)
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # damaged pickles fail in every way there is
        raise DataError(f"{where} is not a batch of CIFAR-10 as published: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{where} is not a batch of CIFAR-10 as published: it holds no dictionary")
    return content

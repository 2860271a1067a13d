"""What a shard is and how it is written; the prose specification is FORMAT.md."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lib.errors import InputError
from lib.repro import atomic

TYPE = "netspace-shard"
VERSION = 1
SPLITS = ("train", "validation", "test")
STATUSES = ("ok", "diverged")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")
ENTRY = ("kind", "name", "offset", "shape", "size")
REQUIRED = {
    "network": "str",
    "architecture": "str",
    "instance": "int",
    "split": "str",
    "seed": "int",
    "status": "str",
}
STANDARD = REQUIRED | {
    "epochs": "int",
    "selected_epoch": "int",
    "batch_size": "int",
    "learning_rate": "float",
    "momentum": "float",
    "weight_decay": "float",
    "train_loss": "float",
    "train_accuracy": "float",
    "validation_loss": "float",
    "validation_accuracy": "float",
}
RESERVED = ("shard", "row")
KINDS = {"i": "int", "f": "float", "S": "str"}


class ShardError(InputError):
    """A shard is damaged, is no shard, or would not be one if it were written."""


def problem(path: str | Path, what: str, dataset: str | None = None) -> ShardError:
    """The error that names the file, the dataset (if it is about one) and what is wrong."""
    return ShardError(f"{path}: dataset '{dataset}': {what}" if dataset else f"{path}: {what}")


@dataclass
class Shard:
    """Networks of one architecture.

    Attributes:
        architecture: Its registered name.
        layout: Where each parameter lies in a row of `weights`: dicts with `name, shape, kind,
            offset, size`, in order and without gaps.
        weights: float32 [n, P].
        instances: n rows; columns of int, float or str (FORMAT.md lists the known ones).
        batch_norm: Raw batch-norm tensors by name, each float32 [n, ...].
        provenance: JSON-able; where the networks come from.
    """

    architecture: str
    layout: list[dict[str, Any]]
    weights: np.ndarray
    instances: pd.DataFrame
    batch_norm: dict[str, np.ndarray] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """One dataset of a file: numpy dtype string, shape, place in the file (bytes), SHA-256."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    sha256: str

    @property
    def row_bytes(self) -> int:
        """Bytes of one network's part."""
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the whole dataset."""
        return self.shape[0] * self.row_bytes


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 (hex) of the raw bytes of a C-contiguous array."""
    return hashlib.sha256(array.reshape(-1).view(np.uint8)).hexdigest()


def content_sha256(
    architecture: str, layout: str, provenance: str, blocks: Mapping[str, Block]
) -> str:
    """SHA-256 of all that a shard says (`layout`, `provenance` as JSON text; FORMAT.md, 6)."""
    lines = [
        f"{TYPE} {VERSION}",
        f"architecture {architecture}",
        f"layout {hashlib.sha256(layout.encode()).hexdigest()}",
        f"provenance {hashlib.sha256(provenance.encode()).hexdigest()}",
    ]
    lines += [
        f"{name} {block.dtype} {'x'.join(map(str, block.shape))} {block.sha256}"
        for name, block in blocks.items()
    ]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def row_digests(weights: np.ndarray) -> np.ndarray:
    """SHA-256 of each row: uint8 [n, 32] from a C-contiguous [n, P]."""
    digests = b"".join(hashlib.sha256(row).digest() for row in weights)
    return np.frombuffer(digests, np.uint8).reshape(-1, 32)


def layout_problem(layout: Any) -> str | None:
    """What keeps `layout` from being a parameter layout; None if it is one."""
    if not isinstance(layout, list) or not layout:
        return "the layout must be a non-empty list of parameters"
    offset, names = 0, set()
    for place, entry in enumerate(layout):
        if not isinstance(entry, dict) or tuple(sorted(entry)) != ENTRY:
            return f"layout entry {place} must have exactly the keys {', '.join(ENTRY)}"
        name, shape = entry["name"], entry["shape"]
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in names:
            return f"layout entry {place}: name {name!r} is not allowed or not unique"
        if not isinstance(entry["kind"], str) or not NAME.fullmatch(entry["kind"]):
            return f"layout entry {name}: kind {entry['kind']!r} is not a name"
        if not isinstance(shape, list | tuple) or not all(
            type(length) is int and length > 0 for length in shape
        ):
            return f"layout entry {name}: shape {shape!r} must be a list of positive integers"
        if (type(entry["offset"]), entry["offset"]) != (int, offset):
            return f"layout entry {name}: offset {entry['offset']!r}, expected {offset}"
        if (type(entry["size"]), entry["size"]) != (int, math.prod(shape)):
            return f"layout entry {name}: size {entry['size']!r}, expected {math.prod(shape)}"
        names.add(name)
        offset += entry["size"]
    return None


def table_problems(table: Mapping[str, np.ndarray], architecture: str) -> list[tuple[str, str]]:
    """What is wrong with encoded instance columns: pairs of (column, problem)."""
    found = [(name, "missing; every shard has it") for name in REQUIRED if name not in table]
    for name, kind in STANDARD.items():
        if name in table and KINDS[table[name].dtype.kind] != kind:
            found.append((name, f"holds {KINDS[table[name].dtype.kind]}, expected {kind}"))
    if found:
        return found
    for name in ("network", "instance"):
        values, counts = np.unique(table[name], return_counts=True)
        if (counts > 1).any():
            found.append((name, f"{_shown(values[counts > 1][0])} occurs more than once"))
    if (table["network"] == b"").any():
        found.append(("network", "a network without a name"))
    if (table["instance"] < 0).any():
        found.append(("instance", "a negative number"))
    for name, allowed in (
        ("architecture", (architecture,)),
        ("split", SPLITS),
        ("status", STATUSES),
    ):
        wrong = table[name][~np.isin(table[name], [value.encode() for value in allowed])]
        if len(wrong):
            found.append((name, f"{_shown(wrong[0])}, expected {' or '.join(allowed)}"))
    return found


def not_finite(values: np.ndarray, status: np.ndarray) -> np.ndarray:
    """Rows [k] of `values` [n, ...] that hold NaN or infinity though their status is ok."""
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    return np.flatnonzero(~finite & (status == b"ok"))


def write_shard(path: str | Path, shard: Shard) -> None:
    """Write a shard, whole or not at all; the same shard gives the same bytes.

    Raises:
        ShardError: the shard is not one by FORMAT.md; nothing is written.
    """
    layout, provenance, arrays, orders = _checked(path, shard)
    blocks = {
        name: Block(array.dtype.str, array.shape, 0, array_sha256(array))
        for name, array in arrays.items()
    }
    whole = content_sha256(shard.architecture, layout, provenance, blocks)
    with (
        atomic(path) as temporary,
        h5py.File(temporary, "w", libver=("v108", "v108"), locking=False) as file,
    ):
        file.attrs.create("version", np.int64(VERSION), dtype="<i8")
        texts = {
            "type": TYPE,
            "architecture": shard.architecture,
            "layout": layout,
            "provenance": provenance,
            "sha256": whole,
        }
        for name, text in texts.items():
            file.attrs.create(name, np.bytes_(text.encode()))
        for name, order in orders.items():
            file.create_group(name).attrs.create("order", np.bytes_(_json(order).encode()))
        for name, array in arrays.items():
            if array.dtype.kind == "S":
                array = array.astype(h5py.string_dtype("utf-8", array.dtype.itemsize))
            dataset = file.create_dataset(name, data=array)
            dataset.attrs.create("sha256", np.bytes_(blocks[name].sha256.encode()))


def _checked(
    path: str | Path,
    shard: Shard,
) -> tuple[str, str, dict[str, np.ndarray], dict[str, list[str]]]:
    """Layout and provenance as JSON, the arrays of all datasets, and the order in each group."""
    if not isinstance(shard.architecture, str) or not NAME.fullmatch(shard.architecture):
        raise problem(path, f"architecture {shard.architecture!r} is not a name")
    if what := layout_problem(shard.layout):
        raise problem(path, what)
    try:
        layout, provenance = _json(shard.layout), _json(shard.provenance)
    except (TypeError, ValueError, RecursionError) as error:
        raise problem(path, f"the provenance cannot be written as JSON: {error}") from error
    if not isinstance(shard.provenance, dict):
        raise problem(path, "the provenance must be a dict")
    n, size = len(shard.instances), sum(entry["size"] for entry in shard.layout)
    if n == 0:
        raise problem(path, "no instances; a shard holds at least one network")
    if not shard.instances.columns.is_unique:
        raise problem(path, "two instance columns have one name")
    table = {name: _encoded(path, name, shard.instances[name]) for name in shard.instances.columns}
    if wrong := table_problems(table, shard.architecture):
        raise problem(path, wrong[0][1], f"instances/{wrong[0][0]}")
    weights = _floats(path, "weights", shard.weights, table, (n, size))
    arrays = {"weights": weights, "weights_sha256": row_digests(weights)}
    arrays |= {f"instances/{name}": column for name, column in table.items()}
    for name, tensor in shard.batch_norm.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise problem(path, f"batch-norm tensor {name!r} is not a name")
        arrays[f"batch_norm/{name}"] = _floats(path, f"batch_norm/{name}", tensor, table)
    return (
        layout,
        provenance,
        arrays,
        {"instances": list(table), "batch_norm": list(shard.batch_norm)},
    )


def _floats(
    path: str | Path,
    name: str,
    values: np.ndarray,
    table: Mapping[str, np.ndarray],
    shape: Sequence[int] | None = None,
) -> np.ndarray:
    values = np.asarray(values)
    n = len(table["network"])
    if values.dtype != np.float32:
        raise problem(path, f"dtype {values.dtype}, expected float32", name)
    if shape and values.shape != shape:
        raise problem(
            path,
            f"shape {values.shape}, expected {shape} ({n} instances, "
            f"{shape[1]} parameters in the layout)",
            name,
        )
    if values.ndim == 0 or len(values) != n or 0 in values.shape:
        raise problem(
            path, f"shape {values.shape}, expected one row for each of {n} instances", name
        )
    rows = not_finite(values, table["status"])
    if len(rows):
        raise problem(
            path,
            f"NaN or infinity in {_shown(table['network'][rows[0]])}, whose status is ok",
            name,
        )
    return np.ascontiguousarray(values, "<f4")


def _encoded(path: str | Path, name: str, column: pd.Series) -> np.ndarray:
    """An instance column as it is stored: int64, float64 or fixed-length UTF-8 [n]."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise problem(path, f"instance column {name!r}: not an allowed name")
    where = f"instances/{name}"
    try:
        if pd.api.types.is_integer_dtype(column.dtype):
            return np.array([int(value) for value in column], "<i8")
        if pd.api.types.is_float_dtype(column.dtype):
            return column.to_numpy("<f8", na_value=np.nan)
        values = list(column)
        if not all(isinstance(value, str) for value in values):
            raise problem(
                path,
                f"holds {column.dtype}; int, float and str without missing values are allowed",
                where,
            )
        texts = [value.encode() for value in values]
    except (UnicodeEncodeError, OverflowError, TypeError) as error:
        raise problem(path, f"a value cannot be stored: {error}", where) from error
    if any(b"\0" in text for text in texts):
        raise problem(path, "a text with a NUL character cannot be stored", where)
    return np.array(texts, f"S{max(1, *map(len, texts))}")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _shown(value: Any) -> str:
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else int(value))

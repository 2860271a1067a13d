"""What a shard is, in code; the prose specification is FORMAT.md."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.core.errors import InputError
from lib.core.names import NAME as NAME

TYPE = "netspace-shard"
VERSION = (1, 0)
SPLITS = ("train", "validation", "test")
STATUSES = ("ok", "diverged")
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
    "checkpoint_epoch": "int",
    "epochs": "int",
    "selected_epoch": "int",
    "diverged_epoch": "int",
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


class CatalogueError(InputError):
    """A catalogue is damaged, does not fit its shards, or was asked for what it does not hold."""


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
        arguments: JSON-able; what the architecture was built for, by the names of its builder's
            arguments (`channels`, `size`, `classes` for images); empty if not known.
    """

    architecture: str
    layout: list[dict[str, Any]]
    weights: np.ndarray
    instances: pd.DataFrame
    batch_norm: dict[str, np.ndarray] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)


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


def content_sha256(version: str, texts: Mapping[str, str], blocks: Mapping[str, Block]) -> str:
    """SHA-256 (hex) of all that a shard says: its text attributes and datasets (FORMAT.md, 6)."""
    lines = [
        f"attribute {name} {hashlib.sha256(text.encode()).hexdigest()}"
        for name, text in texts.items()
        if name not in ("type", "version", "sha256")
    ]
    lines += [
        f"dataset {name} {block.dtype} {'x'.join(map(str, block.shape))} {block.sha256}"
        for name, block in blocks.items()
    ]
    return hashlib.sha256("\n".join([f"{TYPE} {version}", *sorted(lines), ""]).encode()).hexdigest()


def row_digests(weights: np.ndarray) -> np.ndarray:
    """SHA-256 of each row: uint8 [n, 32] from a C-contiguous [n, P]."""
    digests = b"".join([hashlib.sha256(row).digest() for row in weights])
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
    checkpoint = table.get("checkpoint_epoch", np.full_like(table["instance"], -1))
    results = table["instance"][checkpoint < 0]
    for name, column in (("network", table["network"]), ("instance", results)):
        values, counts = np.unique(column, return_counts=True)
        if (counts > 1).any():
            found.append((name, f"{shown(values[counts > 1][0])} occurs more than once"))
    if (checkpoint < -1).any():
        found.append(("checkpoint_epoch", "a number below -1"))
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
            found.append((name, f"{shown(wrong[0])}, expected {' or '.join(allowed)}"))
    return found


def not_finite(values: np.ndarray, status: np.ndarray) -> np.ndarray:
    """Rows [k] of `values` [n, ...] that hold NaN or infinity though their status is ok."""
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    with np.errstate(over="ignore", invalid="ignore"):
        # One pass, no copy: a sum that is finite has finite terms only. The others are looked at.
        suspects = np.flatnonzero(~np.isfinite(flat.sum(1)) & (status == b"ok"))
    return suspects[~np.isfinite(flat[suspects]).all(1)]


def shown(value: Any) -> str:
    """A stored value as an error message shows it."""
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else int(value))

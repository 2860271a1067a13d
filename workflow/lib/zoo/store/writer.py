"""Writing shards: everything is checked first, then written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lib.core.atomic import atomic_hdf5
from lib.zoo.store.format import (
    NAME,
    RESERVED,
    TYPE,
    VERSION,
    Block,
    Shard,
    array_sha256,
    content_sha256,
    layout_problem,
    not_finite,
    problem,
    row_digests,
    shown,
    table_problems,
)


def write_shard(path: str | Path, shard: Shard) -> None:
    """Write a shard, whole or not at all; the same shard gives the same bytes.

    Raises:
        ShardError: the shard is not one by FORMAT.md; nothing is written.
    """
    texts, arrays = _header_texts(path, shard), _arrays(path, shard)
    for group, names in (("instances", shard.instances.columns), ("batch_norm", shard.batch_norm)):
        texts[f"{group}/order"] = _json(list(names))
    blocks = {
        name: Block(array.dtype.str, array.shape, 0, array_sha256(array))
        for name, array in arrays.items()
    }
    texts["sha256"] = content_sha256(texts["version"], texts, blocks)
    with atomic_hdf5(path, libver=("v108", "v108")) as file:
        for name, text in texts.items():
            group, _, own = name.rpartition("/")
            holder = file.require_group(group) if group else file
            holder.attrs.create(own, np.bytes_(text.encode()))
        for name, array in arrays.items():
            if array.dtype.kind == "S":
                array = array.astype(h5py.string_dtype("utf-8", array.dtype.itemsize))
            dataset = file.create_dataset(name, data=array)
            dataset.attrs.create("sha256", np.bytes_(blocks[name].sha256.encode()))


def _header_texts(path: str | Path, shard: Shard) -> dict[str, str]:
    """The root attributes but the digest, checked."""
    if not isinstance(shard.architecture, str) or not NAME.fullmatch(shard.architecture):
        raise problem(path, f"architecture {shard.architecture!r} is not a name")
    if what := layout_problem(shard.layout):
        raise problem(path, what)
    texts = {
        "type": TYPE,
        "version": ".".join(map(str, VERSION)),
        "architecture": shard.architecture,
        "layout": _json(shard.layout),
    }
    for name in ("arguments", "provenance"):
        value = getattr(shard, name)
        if not isinstance(value, dict):
            raise problem(path, f"the {name} must be a dict")
        try:
            texts[name] = _json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise problem(path, f"the {name} cannot be written as JSON: {error}") from error
    return texts


def _arrays(path: str | Path, shard: Shard) -> dict[str, np.ndarray]:
    """The arrays of all datasets, checked."""
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
    return arrays


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
            f"NaN or infinity in {shown(table['network'][rows[0]])}, whose status is ok",
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

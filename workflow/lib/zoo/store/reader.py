"""Reading and verifying shards; every piece that is handed out was compared with its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from lib.zoo.store.format import Shard, ShardError, not_finite, problem, row_digests, table_problems
from lib.zoo.store.header import Header, opened, some, whole

STEP = 1 << 24


def read_header(path: str | Path) -> Header:
    """What a shard holds; checks everything but the bytes of the datasets."""
    with opened(path) as (_, header):
        return header


def read_instances(path: str | Path) -> tuple[Header, pd.DataFrame]:
    """Header and instance table [n rows] of a shard, checked; weights are not read."""
    with opened(path) as (stream, header):
        return header, _frame(header, _table(stream, header))


def read_shard(
    path: str | Path,
    rows: Sequence[int] | None = None,
    verify: bool = True,
    batch_norm: bool = True,
) -> Shard:
    """Read a shard, or only the given rows of it, in the order given.

    Args:
        path: The file.
        rows: Row numbers from 0; None reads all.
        verify: Compare weights and batch-norm tensors with their digests and look for NaN.
            The header and the instance table are always checked.
        batch_norm: Read the raw batch-norm tensors too.

    Raises:
        ShardError: naming the file and the dataset that is damaged.
    """
    with opened(path) as (stream, header):
        table = _table(stream, header)
        picked = _picked(header, rows)
        tensors = {
            name: whole(stream, header, f"batch_norm/{name}", verify)[picked]
            for name in (header.batch_norm if batch_norm else ())
        }
        if rows is None:
            weights = whole(stream, header, "weights", verify)
        else:
            weights = some(stream, header, "weights", picked)
            if verify:
                digests = whole(stream, header, "weights_sha256")
                _check_rows(header, weights, digests[picked], table, picked)
        return _piece(header, _frame(header, table), table, picked, weights, tensors, verify)


def iterate(paths: Iterable[str | Path], batch: int, verify: bool = True) -> Iterator[Shard]:
    """Stream shards as pieces of at most `batch` networks, in order; no piece spans two files.

    Of each file the instance table and the batch-norm tensors are held, of the weights one piece.
    """
    if batch < 1:
        raise ValueError(f"a batch of {batch} networks; at least 1 is needed")
    for path in paths:
        with opened(path) as (stream, header):
            table = _table(stream, header)
            frame = _frame(header, table)
            digests = whole(stream, header, "weights_sha256")
            batch_norm = {
                name: whole(stream, header, f"batch_norm/{name}", verify)
                for name in header.batch_norm
            }
            for picked in _batches(header.n, batch):
                weights = some(stream, header, "weights", picked)
                if verify:
                    _check_rows(header, weights, digests[picked], table, picked)
                parts = {name: tensor[picked] for name, tensor in batch_norm.items()}
                yield _piece(header, frame, table, picked, weights, parts, verify)


def verify(path: str | Path, further: Callable[[Header], list[str]] | None = None) -> list[str]:
    """All problems found in a file, each naming file and dataset; empty if it is a sound shard.

    Weights are streamed, so memory does not grow with them.

    Args:
        path: The file.
        further: What else to check in a sound header, as `lib.zoo.store.registered.problems` does.
    """
    found: list[str] = []

    def note(check: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return check(*arguments)
        except ShardError as error:
            return found.append(str(error))

    try:
        with opened(path) as (stream, header):
            found += further(header) if further else []
            columns = [note(whole, stream, header, f"instances/{name}") for name in header.columns]
            sound = all(column is not None for column in columns)
            table = note(_table, stream, header) if sound else None
            if table is not None:
                note(_frame, header, table)
            digests = note(whole, stream, header, "weights_sha256")
            for name in header.blocks:
                if name in ("weights", "weights_sha256") or name.startswith("instances/"):
                    continue
                tensor = note(whole, stream, header, name)
                if name.startswith("batch_norm/") and not (table is None or tensor is None):
                    note(_check_finite, header, name, tensor, table, np.arange(header.n))
            note(_check_weights, stream, header, table, digests)
    except ShardError as error:
        found.append(str(error))
    return found


def _table(stream: BinaryIO, header: Header) -> dict[str, np.ndarray]:
    """The instance columns as stored, [n] each, checked."""
    table = {name: whole(stream, header, f"instances/{name}") for name in header.columns}
    if wrong := table_problems(table, header.architecture):
        raise problem(header.path, wrong[0][1], f"instances/{wrong[0][0]}")
    return table


def _frame(header: Header, table: dict[str, np.ndarray]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name, values in table.items():
        try:
            columns[name] = (
                values
                if values.dtype.kind != "S"
                else [value.decode() for value in values.tolist()]
            )
        except UnicodeDecodeError as error:
            raise problem(header.path, f"not UTF-8: {error}", f"instances/{name}") from error
        if values.dtype.kind == "S" and any("\0" in text for text in columns[name]):
            raise problem(header.path, "a text has a NUL character in it", f"instances/{name}")
    return pd.DataFrame(columns)


def _picked(header: Header, rows: Sequence[int] | None) -> np.ndarray:
    if rows is None:
        return np.arange(header.n)
    picked = np.asarray(rows)
    if picked.ndim != 1 or (picked.size and picked.dtype.kind not in "iu"):
        raise problem(header.path, "rows must be a list of row numbers")
    outside = picked[(picked < 0) | (picked >= header.n)]
    if outside.size:
        raise problem(header.path, f"there is no row {outside[0]}; rows are 0 to {header.n - 1}")
    return picked.astype(np.int64)


def _batches(n: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def _piece(
    header: Header,
    frame: pd.DataFrame,
    table: dict[str, np.ndarray],
    picked: np.ndarray,
    weights: np.ndarray,
    batch_norm: dict[str, np.ndarray],
    verify: bool,
) -> Shard:
    """A shard of the rows `picked`, whose tensors are given."""
    if verify:
        _check_finite(header, "weights", weights, table, picked)
        for name, tensor in batch_norm.items():
            _check_finite(header, f"batch_norm/{name}", tensor, table, picked)
    return Shard(
        header.architecture,
        header.layout,
        weights,
        frame.iloc[picked].reset_index(drop=True),
        batch_norm,
        header.provenance,
        header.arguments,
    )


def _check_rows(
    header: Header,
    weights: np.ndarray,
    digests: np.ndarray,
    table: dict[str, np.ndarray] | None,
    picked: np.ndarray,
) -> None:
    wrong = picked[(row_digests(weights) != digests).any(1)]
    if len(wrong):
        who = f" ({table['network'][wrong[0]].decode(errors='replace')})" if table else ""
        raise problem(
            header.path, f"damaged: row {wrong[0]}{who} differs from its SHA-256", "weights"
        )


def _check_finite(
    header: Header, name: str, values: np.ndarray, table: dict[str, np.ndarray], picked: np.ndarray
) -> None:
    wrong = not_finite(values, table["status"][picked])
    if len(wrong):
        network = table["network"][picked[wrong[0]]].decode(errors="replace")
        raise problem(header.path, f"NaN or infinity in {network!r}, whose status is ok", name)


def _check_weights(
    stream: BinaryIO,
    header: Header,
    table: dict[str, np.ndarray] | None,
    digests: np.ndarray | None,
) -> None:
    """Compare all weights with their digests, a few MiB at a time, and look for NaN."""
    sha = hashlib.sha256()
    block = header.blocks["weights"]
    for picked in _batches(header.n, max(1, STEP // block.row_bytes)):
        weights = some(stream, header, "weights", picked)
        sha.update(weights.reshape(-1))
        if digests is not None:
            _check_rows(header, weights, digests[picked], table, picked)
        if table is not None:
            _check_finite(header, "weights", weights, table, picked)
    if sha.hexdigest() != block.sha256:
        raise problem(header.path, "damaged: its bytes differ from its SHA-256", "weights")

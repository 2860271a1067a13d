"""The weights of many shards by row: only what is asked for is read, in the order of the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from lib.core.streams import Stream
from lib.zoo.store.format import CatalogueError, not_finite, problem, row_digests
from lib.zoo.store.header import opened, runs, scatter, whole


class ShardRows:
    """One shard, open for reading rows of weights in any order.

    Held for each network are its name, whether it is ok, and its digest; the weights stay on disk.

    Raises:
        ShardError: the header or one of these datasets is damaged.
    """

    def __init__(self, path: Path) -> None:
        with opened(path) as (stream, self.header):
            self._identity = _identity(os.fstat(stream.fileno()))
            self._networks = whole(stream, self.header, "instances/network")
            self._status = whole(stream, self.header, "instances/status")
            self._digests = whole(stream, self.header, "weights_sha256")

    @property
    def stale(self) -> bool:
        """Whether the file is not the one that was opened."""
        try:
            return _identity(os.stat(self.header.path)) != self._identity
        except OSError:
            return True

    def networks(self, rows: np.ndarray) -> np.ndarray:
        """Names (UTF-8 bytes) [k] of the networks at rows [k]; empty where there is no such row."""
        inside = (rows >= 0) & (rows < self.header.n)
        return np.where(inside, self._networks[np.where(inside, rows, 0)], b"")

    def read(
        self, rows: np.ndarray, weights: np.ndarray, places: np.ndarray, verify: bool = True
    ) -> None:
        """Read rows [k] to the `places` [k] of `weights` [m, P], compared with their digests.

        Raises:
            ShardError: naming the first network that is damaged, or not finite though it is ok.
        """
        with self._stream() as stream:
            scatter(stream, self.header, "weights", rows, weights, places)
        if not verify:
            return
        neighbours = places[-1] - places[0] == len(places) - 1 and (np.diff(places) == 1).all()
        piece = weights[places[0] : places[-1] + 1] if neighbours else weights[places]
        differ = (row_digests(piece) != self._digests[rows]).any(1)
        self._refuse(rows[differ], "damaged: row {row} ({name}) differs from its SHA-256")
        bad = not_finite(piece, self._status[rows])
        self._refuse(rows[bad], "NaN or infinity in row {row} ({name}), whose status is ok")

    def expect(self, rows: np.ndarray) -> None:
        """Have the system fetch rows [k] from the disk while other work goes on."""
        block = self.header.blocks["weights"]
        width = block.row_bytes
        with self._stream() as stream:
            handle, (first, length) = stream.fileno(), runs(len(rows), np.diff(rows) != 1)
            places = (block.offset + rows[first] * width).tolist()
            for place, size in zip(places, (length * width).tolist(), strict=True):
                os.posix_fadvise(handle, place, size, os.POSIX_FADV_WILLNEED)

    @contextmanager
    def _stream(self) -> Iterator[BinaryIO]:
        path = self.header.path
        try:
            with path.open("rb", buffering=0) as stream:
                yield stream
        except OSError as error:
            raise problem(path, f"cannot be read: {error.strerror}", "weights") from error

    def _refuse(self, rows: np.ndarray, what: str) -> None:
        if len(rows):
            name = self._networks[rows[0]].decode(errors="replace")
            raise problem(self.header.path, what.format(row=rows[0], name=name), "weights")


class Places:
    """Where the networks of a table lie, for reading the weights of any of them.

    Args:
        root: folder that the paths in the column `shard` are relative to.
        frame: catalogue rows of one architecture.
        shards: shards that are open already, by path; those opened here are added.

    Attributes:
        layout: the parameter layout of all of them.

    Raises:
        CatalogueError: no networks, or networks of several architectures.
    """

    def __init__(self, root: Path, frame: pd.DataFrame, shards: dict[Path, ShardRows]) -> None:
        names = frame["architecture"].unique()
        if len(names) != 1:
            raise CatalogueError(
                "weights are read for one architecture at a time, got "
                f"{', '.join(names) or 'no networks'}"
            )
        self._codes, files = pd.factorize(frame["shard"])
        self._paths = [root / file for file in files]
        self._rows = frame["row"].to_numpy(np.int64)
        self._networks = np.array([name.encode() for name in frame["network"].tolist()], "S")
        self._shards = shards
        self.layout = self._shard(0).header.layout

    @property
    def parameters(self) -> int:
        """P, the number of parameters of each network."""
        return self._shard(0).header.parameters

    def read(self, places: np.ndarray, verify: bool = True) -> np.ndarray:
        """Weights of the networks at `places` [k] of the table, in that order: float32 [k, P].

        Each shard is read once, from its beginning to its end.

        Raises:
            ShardError: a shard is damaged.
            CatalogueError: the table does not fit a shard.
        """
        weights = np.empty((len(places), self.parameters), np.float32)
        for shard, group in self._by_shard(places):
            rows = self._rows[places[group]]
            self._check(shard, rows, self._networks[places[group]])
            shard.read(rows, weights, group, verify)
        return weights

    def batches(
        self, batch: int, seed: int | None, block: int, window: int, verify: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All networks once: places [k] in the table and weights [k, P], k at most `batch`.

        Args:
            batch: networks in a batch; the last one may be smaller.
            seed: in a random order that depends on it, or (None) in that of the table.
            block: neighbours in the table that stay in one window when the order is random.
            window: bytes of weights that are read together (at least one batch).
            verify: compare each row with its digest.
        """
        order = np.arange(len(self._rows))
        random = None if seed is None else Stream("stream", seed).numpy()
        if random:
            blocks = random.permutation(-(-len(order) // block))
            order = (blocks[:, None] * block + np.arange(block)).ravel()
            order = order[order < len(self._rows)]
        step = batch * max(1, window // (4 * self.parameters * batch))
        windows = np.split(order, range(step, len(order), step))
        for places, following in zip(windows, [*windows[1:], order[:0]], strict=True):
            for shard, group in self._by_shard(following):
                shard.expect(self._rows[following[group]])
            weights = self.read(places, verify)
            mixed = random.permutation(len(places)) if random and block > 1 else None
            for at in range(0, len(places), batch):
                part = slice(at, at + batch) if mixed is None else mixed[at : at + batch]
                yield places[part], weights[part]

    def _by_shard(self, places: np.ndarray) -> Iterator[tuple[ShardRows, np.ndarray]]:
        """Each shard that some places [k] lie in, and which of them, in the order of its rows."""
        codes = self._codes[places]
        order = np.lexsort((self._rows[places], codes))
        for first, length in zip(*runs(len(places), np.diff(codes[order])), strict=True):
            yield self._shard(codes[order[first]]), order[first : first + length]

    def _shard(self, code: int) -> ShardRows:
        path = self._paths[code]
        if path not in self._shards or self._shards[path].stale:
            self._shards[path] = ShardRows(path)
        return self._shards[path]

    def _check(self, shard: ShardRows, rows: np.ndarray, networks: np.ndarray) -> None:
        path = shard.header.path
        if shard.header.layout != self.layout:
            raise CatalogueError(
                f"{path}: its layout differs from that of other shards of the same architecture"
            )
        there = shard.networks(rows)
        for wrong in np.flatnonzero(there != networks)[:1]:
            raise CatalogueError(
                f"{path}: row {rows[wrong]} is {there[wrong].decode(errors='replace')!r}, the "
                f"catalogue says {networks[wrong].decode()!r}: build the catalogue anew"
            )


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

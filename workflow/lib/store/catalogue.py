"""The catalogue: one table over all networks of a zoo, whatever shards they lie in."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.errors import InputError
from lib.repro import atomic
from lib.store.format import REQUIRED, SPLITS, STANDARD, STATUSES
from lib.store.reader import read_header, read_instances, read_shard

if TYPE_CHECKING:
    from torch import Tensor

PLACE = {"shard": "str", "row": "int"}


class CatalogueError(InputError):
    """A catalogue is damaged, does not fit its shards, or was asked for what it does not hold."""


class Catalogue:
    """All networks of a zoo.

    Attributes:
        frame: One row per network: the instance columns of the shards, then `shard` (path
            relative to `root`) and `row` (row number in it). Ordered by architecture and instance.
        root: The folder that shard paths are relative to; the catalogue's own, once loaded.
    """

    def __init__(self, frame: pd.DataFrame, root: str | Path) -> None:
        self.frame = frame
        self.root = Path(root)

    @classmethod
    def build(
        cls,
        shard_paths: Iterable[str | Path],
        architectures: Sequence[str] = (),
    ) -> Catalogue:
        """Catalogue of shards; the order of the paths and the cut into shards do not matter.

        Args:
            shard_paths: At least one shard.
            architectures: Their order in the catalogue; those not named follow by name.

        Raises:
            ShardError: a shard is damaged.
            CatalogueError: no shards, a network in two of them, or shards that contradict each
                other in layout or in the type of a column.
        """
        paths = [Path(path).absolute() for path in shard_paths]
        if not paths:
            raise CatalogueError("a catalogue needs at least one shard")
        root = Path(os.path.commonpath([path.parent for path in paths]))
        tables, layouts, kinds = [], {}, dict(PLACE)
        for path in paths:
            header, table = read_instances(path)
            first, layout = layouts.setdefault(header.architecture, (path, header.layout))
            if layout != header.layout:
                raise CatalogueError(
                    f"{path}: its layout of {header.architecture} differs from that of {first}"
                )
            for name in table.columns:
                kind = _kind(table[name])
                if kinds.setdefault(name, kind) != kind:
                    raise CatalogueError(
                        f"{path}: column {name!r} holds {kind}, in other shards {kinds[name]}"
                    )
            tables.append(table.assign(shard=_relative(path, root), row=np.arange(len(table))))
        order = [*architectures, *sorted(set(layouts) - set(architectures))]
        return cls(_joined(tables, kinds, order), root)

    @classmethod
    def load(cls, path: str | Path) -> Catalogue:
        """Read a catalogue; its shards are looked for relative to its own folder.

        Raises:
            CatalogueError: no such file, not a table, or a column missing.
        """
        path = Path(path)
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                header, *rows = csv.reader(stream)
            if len(set(header)) != len(header) or any(len(row) != len(header) for row in rows):
                raise CatalogueError(
                    f"{path}: not a table: a column occurs twice or a row is of "
                    "another length than the header"
                )
            texts = _text_columns(path, header)
        except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
            if isinstance(error, CatalogueError):
                raise
            raise CatalogueError(f"{path}: cannot be read as a catalogue: {error}") from error
        columns = zip(*rows, strict=True) if rows else ((),) * len(header)
        frame = pd.DataFrame(
            {
                name: list(values) if name in texts else _numbers(values)
                for name, values in zip(header, columns, strict=True)
            }
        )
        for name, kind in (REQUIRED | PLACE).items():
            if name not in frame:
                raise CatalogueError(f"{path}: the column {name!r} is missing")
            if _kind(frame[name]) != kind:
                raise CatalogueError(
                    f"{path}: the column {name!r} holds {_kind(frame[name])}, expected {kind}"
                )
        return cls(frame, path.absolute().parent)

    def save(self, path: str | Path) -> None:
        """Write the catalogue as CSV (texts quoted, numbers exact), shards relative to it."""
        path = Path(path).absolute()
        moved = {
            shard: _relative(self.root / shard, path.parent)
            for shard in self.frame["shard"].unique()
        }
        frame = self.frame.assign(shard=self.frame["shard"].map(moved))
        with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
            rows = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
            rows.writerow(frame.columns)
            rows.writerows(zip(*(frame[name].tolist() for name in frame.columns), strict=True))

    def select(
        self,
        architecture: str | Sequence[str] | None = None,
        split: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = "ok",
    ) -> pd.DataFrame:
        """The networks of these architectures, splits and statuses (None: all), in order.

        Diverged networks are left out unless `status` asks for them.
        """
        frame = self.frame
        known = {
            "architecture": tuple(frame["architecture"].unique()),
            "split": SPLITS,
            "status": STATUSES,
        }
        keep = np.ones(len(frame), bool)
        for name, wanted in (("architecture", architecture), ("split", split), ("status", status)):
            if wanted is None:
                continue
            wanted = [wanted] if isinstance(wanted, str) else list(wanted)
            if unknown := [value for value in wanted if value not in known[name]]:
                raise CatalogueError(
                    f"no {name} {unknown[0]!r} in this catalogue; there is {', '.join(known[name])}"
                )
            keep &= frame[name].isin(wanted).to_numpy()
        return frame[keep].reset_index(drop=True)

    def weights(self, frame: pd.DataFrame) -> np.ndarray:
        """Weights of the networks of `frame`, in its order: float32 [n, P].

        Only the rows asked for are read, and each is compared with its digest.

        Raises:
            CatalogueError: no networks, or networks of several architectures.
            ShardError: a shard is damaged.
        """
        names = frame["architecture"].unique()
        if len(names) != 1:
            raise CatalogueError(
                "weights are read for one architecture at a time, got "
                f"{', '.join(names) or 'no networks'}"
            )
        layout, weights = None, np.empty((0, 0), np.float32)
        for shard, places in _groups(frame["shard"]):
            piece = self._read(shard, frame.iloc[places])
            if layout is None:
                layout = piece.layout
                weights = np.empty((len(frame), piece.weights.shape[1]), np.float32)
            elif layout != piece.layout:
                raise CatalogueError(
                    f"{self.root / shard}: its layout differs from that of other "
                    "shards of the same architecture"
                )
            weights[places] = piece.weights
        return weights

    def layout(self, architecture: str) -> list[dict[str, Any]]:
        """The parameter layout of an architecture, as stored in its shards."""
        shard = self.select(architecture, status=None)["shard"].iloc[0]
        return read_header(self.root / shard).layout

    def state_dict(self, network: str) -> dict[str, Tensor]:
        """The (fused) parameters of one network by name, float32, shaped as its layout says."""
        import torch

        found = self.frame[self.frame["network"] == network]
        if len(found) != 1:
            raise CatalogueError(f"no network {network!r} in this catalogue")
        piece = self._read(found["shard"].iloc[0], found)
        flat = torch.from_numpy(piece.weights[0])
        return {
            entry["name"]: flat[entry["offset"] : entry["offset"] + entry["size"]]
            .reshape(entry["shape"])
            .clone()
            for entry in piece.layout
        }

    def _read(self, shard: str, frame: pd.DataFrame):
        path = self.root / shard
        piece = read_shard(path, frame["row"].to_numpy(), batch_norm=False)
        there = piece.instances["network"].to_numpy()
        wrong = np.flatnonzero(there != frame["network"].to_numpy())
        if len(wrong):
            raise CatalogueError(
                f"{path}: row {frame['row'].iloc[wrong[0]]} is "
                f"{there[wrong[0]]!r}, the catalogue says "
                f"{frame['network'].iloc[wrong[0]]!r}: build the catalogue anew"
            )
        return piece


def _joined(tables: list[pd.DataFrame], kinds: dict[str, str], order: list[str]) -> pd.DataFrame:
    """One table of all; a column that a shard lacks is empty text or NaN there."""
    names = [
        *(name for name in STANDARD if name in kinds),
        *sorted(set(kinds) - set(STANDARD) - set(PLACE)),
        *PLACE,
    ]
    partial = set(names) - set.intersection(*(set(table.columns) for table in tables))
    full = []
    for table in tables:
        for name in partial.intersection(table.columns):
            if kinds[name] == "int" and not table[name].between(-(2**53), 2**53).all():
                raise CatalogueError(
                    f"column {name!r} is not in all shards, so it becomes float, "
                    "but holds integers too large for that"
                )
        fill = {name: "" if kinds[name] == "str" else np.nan for name in names if name not in table}
        full.append(table.assign(**fill)[names])
    frame = pd.concat(full, ignore_index=True)
    rank = frame["architecture"].map({name: place for place, name in enumerate(order)})
    frame = (
        frame.assign(rank=rank)
        .sort_values(["rank", "instance", "network"])
        .drop(columns="rank")
        .reset_index(drop=True)
    )
    twice = frame[frame["network"].duplicated(keep=False)]
    if len(twice):
        one = twice[twice["network"] == twice["network"].iloc[0]]
        raise CatalogueError(
            f"network {one['network'].iloc[0]!r} is in {one['shard'].iloc[0]} "
            f"and in {one['shard'].iloc[1]}"
        )
    return frame


def _groups(shards: pd.Series) -> Iterable[tuple[str, np.ndarray]]:
    codes, names = pd.factorize(shards)
    return ((name, np.flatnonzero(codes == code)) for code, name in enumerate(names))


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_integer_dtype(column.dtype):
        return "int"
    return "float" if pd.api.types.is_float_dtype(column.dtype) else "str"


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _numbers(texts: Sequence[str]) -> np.ndarray | list[str]:
    """Int64 or float64 [n] if all texts are such numbers, else the texts."""
    for dtype in ("int64", "float64"):
        try:
            return np.array([text or "nan" for text in texts]).astype(dtype)
        except (ValueError, OverflowError):
            continue
    return list(texts)


def _text_columns(path: Path, header: list[str]) -> set[str]:
    """Columns of text: those quoted in the first row, or the known ones if nothing is quoted."""
    known = {name for name, kind in (STANDARD | PLACE).items() if kind == "str"} & set(header)
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream, quoting=csv.QUOTE_NONNUMERIC)
        try:
            next(rows)
            first = next(rows)
        except (StopIteration, ValueError):
            return known
    return known | {
        name for name, value in zip(header, first, strict=False) if isinstance(value, str)
    }

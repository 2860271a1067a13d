"""The catalogue as a table: shards' instance tables joined, kept as CSV without losing a bit."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.core.repro import atomic
from lib.core.untrusted import regular
from lib.zoo.store.format import REQUIRED, STANDARD, CatalogueError

PLACE = {"shard": "str", "row": "int"}


def load_table(path: str | Path) -> pd.DataFrame:
    """Read a catalogue's CSV.

    Raises:
        CatalogueError: no such file, not a table, or a column missing.
    """
    path = Path(path)
    try:
        frame = _parsed(regular(path))
    except (OSError, csv.Error, ValueError) as error:
        if isinstance(error, CatalogueError):
            raise
        raise CatalogueError(f"{path}: cannot be read as a catalogue: {error}") from error
    for name, kind in (REQUIRED | PLACE).items():
        if name not in frame:
            raise CatalogueError(f"{path}: the column {name!r} is missing")
        if kind_of(frame[name]) != kind:
            raise CatalogueError(
                f"{path}: the column {name!r} holds {kind_of(frame[name])}, expected {kind}"
            )
    return frame


def save_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a catalogue's CSV: texts quoted, numbers exact."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        rows.writerow(frame.columns)
        rows.writerows(zip(*(frame[name].tolist() for name in frame.columns), strict=True))


def joined(tables: list[pd.DataFrame], kinds: dict[str, str], order: list[str]) -> pd.DataFrame:
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


def kind_of(column: pd.Series) -> str:
    """What a column holds: int, float or str."""
    if pd.api.types.is_integer_dtype(column.dtype):
        return "int"
    return "float" if pd.api.types.is_float_dtype(column.dtype) else "str"


def _parsed(path: Path) -> pd.DataFrame:
    """The CSV as it was saved: quoted columns are text, numbers exact, int64 or float64."""
    header, texts = _header(path)
    if len(set(header)) != len(header):
        raise CatalogueError(f"{path}: not a table: a column occurs twice")
    numbers = [name for name in header if name not in texts]
    # Guessing types in small pieces is the fastest way through a million rows; where a guess is
    # not what the header says, or differs between pieces, the texts are read again as texts.
    frame = _read(path, numbers)
    if not isinstance(frame.index, pd.RangeIndex):
        raise CatalogueError(f"{path}: not a table: a row is longer than the header")
    texts += [name for name in numbers if kind_of(frame[name]) == "str"]
    if any(frame[name].dtype != "str" for name in texts):
        frame = _read(path, [name for name in numbers if name not in texts], texts)
    if any(frame[name].isna().any() for name in texts):
        raise CatalogueError(f"{path}: not a table: a row is shorter than the header")
    return frame


def _read(path: Path, numbers: Sequence[str], texts: Sequence[str] = ()) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        return pd.read_csv(
            path,
            dtype=dict.fromkeys(texts, "str"),
            keep_default_na=False,
            na_values=dict.fromkeys(numbers, ["nan", ""]),
        )


def _header(path: Path) -> tuple[list[str], list[str]]:
    """Names of all columns, and of those of text: quoted in the first row, or known as such."""
    known = {name for name, kind in (STANDARD | PLACE).items() if kind == "str"}
    with path.open(newline="", encoding="utf-8") as stream:
        header = next(csv.reader(stream), [])
        try:
            first = next(csv.reader(stream, quoting=csv.QUOTE_NONNUMERIC))
        except (StopIteration, ValueError):
            first = []
    quoted = {name for name, value in zip(header, first, strict=False) if isinstance(value, str)}
    return header, [name for name in header if name in known | quoted]

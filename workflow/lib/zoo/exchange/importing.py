"""From a zoo of any kind to the project's own shards and catalogue, in pieces."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from lib.core.atomic import grant
from lib.core.errors import InputError
from lib.core.progress import log, track
from lib.core.repro import versions
from lib.core.streams import Stream
from lib.zoo.exchange.network import Form
from lib.zoo.exchange.opening import ExchangeError
from lib.zoo.extract import network_name
from lib.zoo.store import Catalogue, Shard, write_shard
from lib.zoo.store.format import STANDARD, row_digests

SHARD_BYTES = 1 << 26
UNKNOWN_SEED = -1
SPLITS = ("train", "validation", "test")
NAMING = ("architecture", "instance", "checkpoint_epoch")
LEADING = ("network", "architecture", "instance", "split", "seed", "status")


@dataclass(frozen=True)
class Source:
    """A zoo to be imported: all that is known of its networks, and the networks on demand.

    Attributes:
        table: one row per network, in the order they are to be stored. `architecture` and `run`
            (networks of one run share a split) must be there. Where they are checkpoints of runs,
            `passed` holds the epochs that had passed; the last one of a run is its result.
            `network`, `split`, `seed` and `status` may be there; all other columns are kept.
        forms: the form of each architecture.
        states: parameters [n, ...] by name of n rows of the table, all of one architecture.
        provenance: where it comes from, with the digests of files that are about all of it.
        skipped: what was left out, in words, and how many.
    """

    table: pd.DataFrame
    forms: Mapping[str, Form]
    states: Callable[[pd.DataFrame], Mapping[str, Tensor]]
    provenance: Mapping[str, Any]
    skipped: Mapping[str, int] = field(default_factory=dict)


def write_zoo(
    source: Source,
    out: str | Path,
    shares: tuple[float, float] = (0.15, 0.15),
    seed: int = 0,
    shard_bytes: int = SHARD_BYTES,
) -> Catalogue:
    """Store a zoo as `<out>/<architecture>/shard_*.h5` and `<out>/catalogue.csv`.

    Networks with NaN or infinite parameters are stored with status `diverged`. At most one shard
    is held in memory. Nothing is left behind if it fails.

    Args:
        source: the zoo.
        out: a folder that does not exist yet, or an empty one.
        shares: shares of the validation and test networks, where the source has no `split`.
        seed: decides which.
        shard_bytes: weights of one shard, at most (but at least one network).

    Raises:
        ExchangeError: the source is at fault, or `out` cannot be written to.
        ShardError: what the source says of its networks cannot be stored.
    """
    table = _completed(source.table, shares, seed)
    twins = Twins()
    with _new_folder(Path(out)) as folder:
        paths = []
        for architecture, rows in table.groupby("architecture", sort=False):
            form = source.forms[architecture]
            step = max(1, shard_bytes // (4 * form.layout.size))
            starts = range(0, len(rows), step)
            for number, at in enumerate(track(starts, f"import {architecture}")):
                piece = rows.iloc[at : at + step].reset_index(drop=True)
                paths.append(folder / architecture / f"shard_{number:03d}.h5")
                provenance = {**source.provenance, "versions": versions()}
                shard = _shard(form, piece, source.states(piece), provenance)
                twins.look(shard)
                write_shard(paths[-1], shard)
        Catalogue.build(paths, list(source.forms)).save(folder / "catalogue.csv")
    twins.tell()
    return Catalogue.load(Path(out) / "catalogue.csv")


class Twins:
    """Networks that are equal to one of another name, which would count twice in every number."""

    def __init__(self) -> None:
        self.first: dict[bytes, str] = {}
        self.found: list[tuple[str, str]] = []

    def look(self, shard: Shard) -> None:
        """Compare the networks of a shard with those before."""
        sound = shard.instances["status"] == "ok"
        digests = row_digests(np.ascontiguousarray(shard.weights))
        for name, digest in zip(shard.instances["network"][sound], digests[sound], strict=True):
            other = self.first.setdefault(digest.tobytes(), name)
            if other != name:
                self.found.append((name, other))

    def tell(self) -> None:
        """Say which they are."""
        if self.found:
            some = ", ".join(f"{name} is {other}" for name, other in self.found[:5])
            more = ", ..." if len(self.found) > 5 else ""
            log.warning(
                "%d of the networks are equal to others under another name (%s%s): leave them out "
                "unless that is meant, as one that is trained on and tested with proves nothing",
                len(self.found),
                some,
                more,
            )


def _shard(
    form: Form, rows: pd.DataFrame, states: Mapping[str, Tensor], provenance: dict[str, Any]
) -> Shard:
    weights, batch_norm = form.rows(states)
    sound = np.isfinite(weights).all(1)
    for tensor in batch_norm.values():
        sound &= np.isfinite(tensor.reshape(len(rows), -1)).all(1)
    rows = rows.assign(status=rows["status"].where(sound, "diverged"))
    layout, image = form.layout.to_json(), form.image.to_json()
    return Shard(form.architecture, layout, weights, rows, batch_norm, provenance, image)


def _completed(table: pd.DataFrame, shares: tuple[float, float], seed: int) -> pd.DataFrame:
    """The table with every column a shard has to have, of the types it has to have."""
    if table.empty:
        raise ExchangeError("there is no network to import")
    table = table.reset_index(drop=True)
    by_architecture = table.groupby("architecture")
    if "passed" in table:
        passed = table.pop("passed")
        last = passed == passed.groupby([table["architecture"], table["run"]]).transform("max")
        table = table.assign(checkpoint_epoch=passed.mask(last, -1), selected_epoch=passed - 1)
    if "checkpoint_epoch" in table:
        instance = by_architecture["run"].transform(lambda runs: pd.factorize(runs)[0])
    else:
        instance = by_architecture.cumcount()
    table = table.assign(instance=instance.astype("int64"))
    if "network" not in table:
        unknown = [-1] * len(table)
        names = [
            network_name(*row) for row in zip(*(table.get(n, unknown) for n in NAMING), strict=True)
        ]
        table = table.assign(network=names)
    if "split" not in table:
        table = table.assign(split=_splits(table, shares, seed))
    if "seed" not in table:
        table = table.assign(seed=UNKNOWN_SEED)
    table["seed"] = table["seed"].fillna(UNKNOWN_SEED)
    if "status" not in table:
        table = table.assign(status="ok")
    for name in table.columns:
        table[name] = _storable(name, table[name])
    return table[[*LEADING, *(name for name in table.columns if name not in LEADING)]]


def _storable(name: str, column: pd.Series) -> pd.Series:
    """A column as int, float or text; where something is missing as float, or as empty text."""
    wanted = STANDARD.get(name)
    if wanted == "str" or not (
        pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    ):
        return column.map(lambda value: "" if pd.isna(value) else str(value)).astype(object)
    if wanted == "float" or column.isna().any():
        return column.astype("float64")
    return column.astype("int64") if not pd.api.types.is_float_dtype(column) else column


def _splits(table: pd.DataFrame, shares: tuple[float, float], seed: int) -> pd.Series:
    """A split for each row: runs of an architecture in the order of a hash, test runs first.

    Three runs or more give at least one to each split that has a share.
    """
    if min(shares) < 0 or sum(shares) >= 1:
        raise ExchangeError(
            f"the shares of validation and test networks are {shares[0]:g} and {shares[1]:g}; "
            "neither may be negative, and something must be left to train on"
        )
    found = {}
    for architecture, runs in table.groupby("architecture")["run"]:
        order = Stream("split", seed, architecture)
        ranked = sorted(runs.unique(), key=lambda run: order.of(run).seed)
        counts = [round(share * len(ranked)) for share in shares]
        if len(ranked) >= 3:
            counts = [
                max(count, int(share > 0)) for count, share in zip(counts, shares, strict=True)
            ]
        validation, test = counts
        for place, run in enumerate(ranked):
            split = 2 if place < test else 1 if place < test + validation else 0
            found[architecture, run] = SPLITS[split]
    return pd.Series(
        [found[pair] for pair in zip(table["architecture"], table["run"], strict=True)],
        index=table.index,
    )


def describe(frame: pd.DataFrame) -> list[str]:
    """One line for each architecture, split and status: how many networks."""
    counted = frame.groupby(["architecture", "split", "status"], sort=False).size()
    return [f"{'  '.join(key)}  {count}" for key, count in counted.items()]


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place on success and vanishes on failure."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ExchangeError(f"{out} is there already; name a new folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise ExchangeError(f"{out} cannot be written: {error.strerror}") from None
    try:
        yield temporary
        grant(temporary, 0o777)
        os.replace(temporary, out)
    except InputError:
        raise
    except OSError as error:
        raise ExchangeError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def checkpoints(text: str) -> str | tuple[int, ...]:
    """Which checkpoints to import, from text: `final`, `all`, or numbers with commas between.

    Raises:
        ExchangeError: the text is none of these.
    """
    if text in ("final", "all"):
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ExchangeError(
            f"checkpoints {text!r}: give final, all, or numbers as 0,20,86"
        ) from None

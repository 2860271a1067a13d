"""`python -m lib.bench.store`: opening, filtering, reading and verifying zoos, against plain reads.

Everything is synthetic and lies in a scratch folder that is removed afterwards. A measurement and
its baseline alternate in the same run, over the same bytes, in the same state of the cache: `warm`
(the page cache holds the files) or `cold` (their pages are dropped before each reading).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from lib.core.progress import track
from lib.core.repro import atomic
from lib.zoo.store import Catalogue, Shard, read_header, verify, write_shard
from lib.zoo.store.table import save_table

LAYOUT = (
    ("conv.weight", (20, 1, 5, 5), "conv"),
    ("fc.weight", (45, 100), "linear"),
)
PARAMETERS = 5000
SHARD = 1000
BATCH = 256
ROUNDS = 5
ARCHITECTURE = "Synthetic"


@dataclass(frozen=True)
class Measurement:
    """One result: medians over rounds; `ratio` is that of the rates, ours over the baseline's."""

    measured: str
    subject: str
    cache: str
    value: float
    unit: str
    baseline: str
    baseline_value: float
    ratio: float
    rounds: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m lib.bench.store", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the networks")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--scratch", type=Path, help="folder for 2 GB of shards (default: TMPDIR)")
    options = parser.parse_args(arguments)
    networks, paper = (5_000, 50_000) if options.quick else (100_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="netspace-bench-", dir=options.scratch) as folder:
        found = measure(Path(folder), networks, paper)
    print(table(found))
    if options.out:
        with atomic(options.out) as temporary:
            temporary.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    return 0


def measure(folder: Path, networks: int, paper: int) -> list[Measurement]:
    """All measurements: a catalogue of `paper` networks, and shards of `networks` in `folder`."""
    return [_opening(folder, paper), *_reading(folder, networks)]


def table(found: Iterable[Measurement]) -> str:
    """The measurements as text in columns."""
    head = ("measured", "cache", "value", "unit", "baseline", "value", "ratio")
    rows = [
        (m.measured, m.cache, _short(m.value), m.unit, m.baseline, _short(m.baseline_value))
        + (f"{m.ratio:.2f}",)
        for m in found
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def instances(first: int, n: int) -> pd.DataFrame:
    """Instance tables as a zoo has them: [n] rows from number `first` on, one in a hundred lost."""
    numbers = np.arange(first, first + n)
    random = np.random.default_rng(first)
    diverged = numbers % 100 == 50
    return pd.DataFrame(
        {
            "network": [f"{ARCHITECTURE}-{number:07d}" for number in numbers],
            "architecture": ARCHITECTURE,
            "instance": numbers,
            "split": np.array(["test", "validation", "train", "train", "train"])[numbers % 5],
            "seed": random.integers(2**62, size=n),
            "status": np.where(diverged, "diverged", "ok"),
            "checkpoint_epoch": -1,
            "epochs": 40,
            "selected_epoch": 39,
            "diverged_epoch": np.where(diverged, 3, -1),
            "batch_size": 32,
            "learning_rate": random.random(n),
            "momentum": 0.9,
            "weight_decay": random.random(n) * 1e-3,
            "train_loss": random.random(n),
            "train_accuracy": random.random(n),
            "validation_loss": random.random(n),
            "validation_accuracy": random.random(n),
        }
    )


def write_zoo(folder: Path, networks: int) -> Catalogue:
    """Shards of `SHARD` networks with normal weights [n, PARAMETERS], and their catalogue."""
    layout, offset, paths = [], 0, []
    for name, shape, kind in LAYOUT:
        size = math.prod(shape)
        layout.append(
            {"name": name, "shape": list(shape), "kind": kind, "offset": offset, "size": size}
        )
        offset += size
    for first in track(range(0, networks, SHARD), "shards"):
        n = min(SHARD, networks - first)
        weights = np.random.default_rng(first).standard_normal((n, PARAMETERS), np.float32)
        paths.append(folder / f"shard_{first // SHARD:04d}.h5")
        write_shard(paths[-1], Shard(ARCHITECTURE, layout, weights, instances(first, n)))
    return Catalogue.build(paths)


def _opening(folder: Path, networks: int) -> Measurement:
    """Load a catalogue (no shards behind it) and filter it by split, status and a condition."""
    path = folder / "paper.csv"
    numbers = np.arange(networks)
    frame = instances(0, networks).assign(
        shard=[f"shard_{number // SHARD:04d}.h5" for number in numbers], row=numbers % SHARD
    )
    save_table(frame, path)

    def ours() -> int:
        return len(Catalogue.load(path).select(split="train", where="validation_accuracy > 0.9"))

    def plain() -> int:
        found = pd.read_csv(path)
        good = (found["status"] == "ok") & (found["split"] == "train")
        return len(found[good & (found["validation_accuracy"] > 0.9)])

    if ours() != plain():
        raise RuntimeError("the filter found other networks than pandas")
    size = path.stat().st_size / 1e6
    subject = f"catalogue of {networks:,} networks, {len(frame.columns)} columns, {size:.0f} MB"
    return _compare(
        "open the catalogue and filter", subject, ours, plain, "pandas.read_csv and a mask", None
    )


def _reading(folder: Path, networks: int) -> list[Measurement]:
    catalogue = write_zoo(folder, networks)
    everything = catalogue.frame
    paths = [catalogue.root / shard for shard in everything["shard"].unique()]
    blocks = [(path, read_header(path).blocks["weights"]) for path in paths]
    size = sum(block.nbytes for _, block in blocks)
    zoo = (
        f"{networks:,} networks of {PARAMETERS:,} parameters in {len(paths)} shards, "
        f"{size / 1e9:.2f} GB"
    )

    def stream(**how) -> Callable[[], int]:
        return lambda: sum(w.nbytes for _, w in catalogue.stream(everything, BATCH, **how))

    def fromfile() -> int:
        """Each shard's weights as one array: the fastest plain reading there is."""
        return sum(
            np.fromfile(path, "<f4", block.nbytes // 4, offset=block.offset).nbytes
            for path, block in blocks
        )

    found = [
        _compare(what, zoo, ours, fromfile, "numpy.fromfile, shard by shard", size, cold)
        for what, ours in (
            ("stream in order, digests checked", stream()),
            ("stream in order, unchecked", stream(verify=False)),
            ("stream shuffled, digests checked", stream(seed=0)),
            ("stream shuffled, unchecked", stream(seed=0, verify=False)),
            ("stream shuffled by 64, digests checked", stream(seed=0, block=64)),
            ("stream shuffled by 64, unchecked", stream(seed=0, block=64, verify=False)),
        )
        for cold in ((), paths)
    ]
    some = everything.sample(min(10_000, networks), random_state=0)

    def plain_rows() -> None:
        for shard, part in some.groupby("shard"):
            with h5py.File(catalogue.root / shard) as file:
                file["weights"][np.sort(part["row"].to_numpy())]

    def sha256() -> None:
        for path, block in blocks:
            hashlib.sha256(np.fromfile(path, "u1", block.nbytes, offset=block.offset)).digest()

    for check in (True, False):
        what = f"random rows, {'digests checked' if check else 'unchecked'}"
        found.append(
            _compare(
                what,
                f"{len(some):,} of {zoo}",
                lambda check=check: catalogue.weights(some, verify=check),
                plain_rows,
                "h5py, rows sorted by hand",
                len(some),
                unit="rows/s",
            )
        )
    found.append(
        _compare(
            "verify whole shards",
            zoo,
            lambda: [verify(path) for path in paths],
            sha256,
            "SHA-256 of the weights, once",
            size,
        )
    )
    return found


def _compare(
    measured: str,
    subject: str,
    ours: Callable[[], object],
    plain: Callable[[], object],
    baseline: str,
    amount: int | None,
    cold: Sequence[Path] = (),
    unit: str = "GB/s",
) -> Measurement:
    """Alternate both and compare; rates of `amount` bytes or rows, or seconds without an amount."""
    pairs = []
    for _ in range(ROUNDS):
        pair = []
        for run in (ours, plain):
            _drop(cold)
            start = time.perf_counter()
            run()
            pair.append(time.perf_counter() - start)
        pairs.append(pair)
    if amount is None:
        unit, values = "s", pairs
    else:
        scale = 1e9 if unit == "GB/s" else 1
        values = [[amount / scale / seconds for seconds in pair] for pair in pairs]
    mine, theirs = (statistics.median(column) for column in zip(*values, strict=True))
    ratio = statistics.median(other / one for one, other in pairs)
    cache = "cold" if cold else "warm"
    return Measurement(measured, subject, cache, mine, unit, baseline, theirs, ratio, ROUNDS)


def _drop(paths: Iterable[Path]) -> None:
    """Ask the system to forget the pages of files, after what was written has reached the disk."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())

"""What Snakemake measured of jobs: its benchmark files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median


def cpu_seconds(benchmarks: Mapping[str, Iterable[str | Path]]) -> dict[str, float]:
    """Seconds of one processor that a job took, the median of some, from benchmark files."""
    found = {}
    for name, paths in benchmarks.items():
        rows = (row for path in paths for row in rows_of(path))
        found[name] = median(float(row["cpu_time"]) for row in rows)
    return found


def rows_of(path: str | Path) -> list[dict[str, str]]:
    """The rows of a benchmark file."""
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))

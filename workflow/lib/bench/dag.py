"""`python -m lib.bench.dag`: what planning a study costs, from a thousand networks to a million.

Each row is one dry run of all that the space `multiarch` makes of an empty folder: the
workflow is read and every job planned, as before any run. Its baseline is reading the workflow
alone (`snakemake --list-rules`), measured beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.core.progress import track
from lib.core.repro import atomic

SNAKEFILE = Path(__file__).parents[3] / "Snakefile"
ARCHITECTURES = 4  # of the default study
# (networks, networks per shard); with one per shard it is as if there were no shards.
QUICK = ((1_000, 100), (10_000, 1_000), (100_000, 1_000))
FULL = (
    *((10**power, 100) for power in (3, 4, 5)),
    *((10**power, 1_000) for power in (4, 5, 6)),
    *((10**6, size) for size in (250, 500, 2_000)),
    (1_000, 50),
    (1_000, 1),
    (10_000, 1),
)


@dataclass(frozen=True)
class Planned:
    """What one dry run cost.

    `seconds` pass on the clock, `cpu_seconds` on a core (also where others use the machine too);
    `peak_bytes` is resident memory. The baselines are the same of reading the workflow alone.
    """

    measured: str
    networks: int
    shard_size: int
    jobs: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    baseline: str
    baseline_seconds: float
    baseline_cpu_seconds: float
    cpu_milliseconds_per_job: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m lib.bench.dag", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to a hundred thousand networks")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="netspace-bench-") as folder:
        cases = QUICK if options.quick else FULL
        found = [measure(*case, Path(folder)) for case in track(cases, "dry runs")]
    print(table(found))
    if options.out:
        with atomic(options.out) as temporary:
            temporary.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    return 0


def measure(networks: int, shard_size: int, folder: Path) -> Planned:
    """Plan a study of so many networks, and read its workflow alone.

    Args:
        networks: of all architectures together.
        shard_size: networks of a shard.
        folder: an empty one, which stays empty but for Snakemake's own notes.

    Raises:
        RuntimeError: Snakemake failed, with what it said.
    """
    each, tenth = networks // ARCHITECTURES, networks // ARCHITECTURES // 10
    counts = {"train": each - 2 * tenth, "validation": tenth, "test": tenth}
    zoos = json.dumps({"digits": {"instances": counts, "shard_size": shard_size}})
    study = ["--config", f"zoos={zoos}", 'spaces=["multiarch"]']
    _, alone = _run(folder, "--list-rules", *study)
    text, whole = _run(folder, "--dry-run", "--quiet", "rules", "reason", "host", *study)
    jobs = int(re.search(r"(?m)^total +(\d+)$", text)[1])
    return Planned(
        "dry run of the space multiarch",
        networks,
        shard_size,
        jobs,
        *whole,
        "reading the workflow",
        *alone[:2],
        1e3 * (whole[1] - alone[1]) / jobs,
    )


def table(found: Sequence[Planned]) -> str:
    """The measurements as text in columns."""
    lines = ["networks  per shard    jobs      s  CPU s  reading, CPU s  ms/job     MB"]
    for row in found:
        lines.append(
            f"{row.networks:>8}  {row.shard_size:>9}  {row.jobs:>6}  {row.seconds:>5.1f}  "
            f"{row.cpu_seconds:>5.1f}  {row.baseline_cpu_seconds:>14.1f}  "
            f"{row.cpu_milliseconds_per_job:>6.2f}  {row.peak_bytes / 1e6:>5.0f}"
        )
    return "\n".join(lines)


def _run(folder: Path, *arguments: str) -> tuple[str, tuple[float, float, int]]:
    """What Snakemake says, and its seconds, processor seconds and peak of memory in bytes."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    command += ["--directory", str(folder), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE")}
    start = time.perf_counter()
    # A file, not a pipe: the process is waited for here, with what it used.
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, cwd=folder, env=environment
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise RuntimeError(f"snakemake failed:\n{text[-3000:]}")
    return text, (seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


if __name__ == "__main__":
    sys.exit(main())

"""`make determinism`: one small study, run in many ways, and whether every digest is the same.

The study is config/tiny.yaml with 32 networks of each architecture. Every row is a whole run in an
empty folder; the first is what the others are compared with. Writes docs/results/determinism.json
and the table of docs/results/determinism.md; ends with status 1 if a row that must not differs.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import stand_in_conda
from places import ROOT, Place, Result, copy_code

PAGE, ROWS = ROOT / "docs/results/determinism.md", ROOT / "docs/results/determinism.json"
START, END = "<!-- made by `make determinism` -->\n", "<!-- end -->\n"
COUNTS = {"train": 29, "validation": 1, "test": 2}


class Impossible(Exception):
    """A row cannot be run on this machine; says why."""


def beside(folder: Path) -> Place:
    """A copy of the code, run from another folder."""
    (folder / "code").mkdir()
    return Place(copy_code(folder / "code"), folder)


@dataclass(frozen=True)
class Row:
    """A way to run the study.

    Attributes:
        how: what a reader is told.
        arguments: of Snakemake, beyond the study; `{code}` stands for the checkout.
        shard_size: networks of a shard.
        place: makes, in an empty folder, the code and the folder to run it in.
        variables: of the environment.
        around: what has to stand while it runs.
        same: the artefacts that must be the same; the others may differ.
    """

    how: str
    arguments: Sequence[str] = ("--cores", "2")
    shard_size: int = 16
    place: Callable[[Path], Place] = beside
    variables: dict[str, str] = field(default_factory=dict)
    around: Callable[[Path], object] | None = None
    same: str = ""


@dataclass(frozen=True)
class Ran:
    """What came of a row; `seconds` tell how long, `differ` which artefacts have other digests."""

    row: str
    how: str
    arguments: tuple[str, ...]
    jobs: int = 0
    seconds: float = 0.0
    artefacts: int = 0
    differ: tuple[str, ...] = ()
    as_promised: bool = True
    order_differs: bool = False
    skipped: str = ""


def inside(folder: Path) -> Place:
    """A copy of the code, run where it lies."""
    return Place(copy_code(folder), folder)


def cloned(folder: Path) -> Place:
    """A fresh clone of the last commit, run where it lies."""
    code = folder / "clone"
    if subprocess.run(["git", "clone", "-q", ROOT, code], capture_output=True).returncode:
        raise Impossible("this is not a git repository")
    return Place(code, code)


@contextmanager
def conda(folder: Path) -> Iterator[dict[str, str]]:
    """A stand-in for conda."""
    tools = stand_in_conda.install(folder / "conda")
    yield {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """A Slurm of two nodes on this machine."""
    sys.path.insert(0, str(ROOT / "tests/cluster"))
    from slurm import Slurm, why_not

    if reason := why_not():
        raise Impossible(reason)
    cluster = Slurm(folder / "slurm")
    try:
        cluster.start()
        stand_in = ROOT / "profiles/slurm/without-accounting"
        yield {"PATH": f"{stand_in}{os.pathsep}{os.environ['PATH']}"}
    finally:
        cluster.stop()


OTHERS_FIRST = [
    f"results/tiny/zoos/digits/{name}/shard_001.h5" for name in ("ResNet14", "LeNetLike")
]
ON_SLURM = ["--workflow-profile", "{code}/profiles/slurm", "--group-components", "shard=4"]
ON_SLURM += ["--slurm-init-seconds-before-status-checks", "1"]
TABLE = {
    "reference": Row("two cores, in the checkout", place=inside),
    "1-core": Row("one core", ["--cores", "1"]),
    "4-cores": Row("four cores", ["--cores", "4"]),
    "shards-of-8": Row("shards of 8 networks instead of 16", shard_size=8),
    "shards-of-30": Row("shards of 30 networks", shard_size=30),
    "greedy": Row("the greedy scheduler", ["--cores", "2", "--scheduler", "greedy"]),
    "priorities": Row(
        "other jobs first (`--prioritize`)",
        ["--cores", "2", "--prioritize", *OTHERS_FIRST, "--scheduler", "greedy"],
    ),
    "directory": Row("another working folder (`--directory`)"),
    "clone": Row("a fresh clone", place=cloned),
    "conda": Row(
        "`--use-conda` (a stand-in for conda)", ["--cores", "2", "--use-conda"], around=conda
    ),
    "slurm": Row("Slurm, two nodes (`profiles/slurm`)", ON_SLURM, around=slurm),
    "older-processor": Row(
        "as on a processor without AVX-512 (torch and its libraries held to AVX2)",
        variables={
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        },
        same=r"data/.*|zoos/\w+/\w+",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows, write the table; 0 where every row kept the promise."""
    parser = argparse.ArgumentParser(prog="python tests/determinism.py", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"some of {', '.join(TABLE)}; default: all")
    parser.add_argument("--all-spaces", action="store_true", help="not the space multiarch alone")
    parser.add_argument(
        "--write", action="store_true", help="write docs/results/determinism.{json,md}"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.rows) - set(TABLE):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    names = ["reference", *(name for name in options.rows or TABLE if name != "reference")]
    spaces = ["multiarch", "singlearch", "shapes"] if options.all_spaces else ["multiarch"]
    found: list[Ran] = []
    wanted: dict[str, str] = {}
    usual: list[str] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"netspace-{name}-") as folder:
            ran, digests, order = run(name, TABLE[name], Path(folder), spaces, wanted, usual)
        wanted, usual = wanted or digests, usual or order
        found.append(ran)
        print(f"{name}: {verdict(ran)} ({ran.jobs} jobs, {ran.seconds:.0f} s)", flush=True)
    if options.write:
        ROWS.write_text(json.dumps([asdict(ran) for ran in found], indent=2) + "\n")
        before, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text(before + START + table(found) + END + rest.partition(END)[2])
    return 0 if all(ran.as_promised for ran in found) else 1


def run(
    name: str,
    row: Row,
    folder: Path,
    spaces: Sequence[str],
    wanted: dict[str, str],
    usual: list[str],
) -> tuple[Ran, dict[str, str], list[str]]:
    """Run a row; what came of it, its digests, and its jobs in the order in which they began.

    Args:
        name, row: which.
        folder: an empty one.
        spaces: of the study.
        wanted, usual: digests and order of the row that others are compared with.

    Raises:
        RuntimeError: Snakemake failed, with the last that it said.
    """
    size = row.shard_size
    zoos = {name: {"shard_size": size} for name in ("digits", "performance", "chairs")}
    zoos["digits"]["instances"] = COUNTS
    study = [f"zoos={json.dumps(zoos)}", f"spaces={json.dumps(list(spaces))}"]
    try:
        with ExitStack() as stack:
            place = row.place(folder)
            variables = stack.enter_context(row.around(folder)) if row.around else {}
            asked = [word.replace("{code}", str(place.source)) for word in row.arguments]
            start = time.monotonic()
            ended = subprocess.run(
                place.command(*asked, "--config", *study),
                cwd=place.folder,
                env=os.environ | row.variables | variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            seconds = time.monotonic() - start
    except Impossible as reason:
        return Ran(name, row.how, tuple(row.arguments), skipped=str(reason)), {}, []
    if ended.returncode:
        raise RuntimeError(f"{name} failed:\n{ended.stdout[-5000:]}")
    digests = place.digests
    order = re.findall(r"(?m)^Job \d+: (.*?)\s*(?:\(Rule|$)", ended.stdout)
    compared = wanted or digests
    differ = sorted(
        key for key in compared.keys() | digests.keys() if compared.get(key) != digests.get(key)
    )
    broken = [key for key in differ if not row.same or re.fullmatch(row.same, key)]
    ran = Ran(
        name,
        row.how,
        tuple(row.arguments),
        sum(Result(0, ended.stdout).jobs.values()),
        round(seconds, 1),
        len(digests),
        tuple(differ),
        not broken,
        bool(usual) and order != usual,
    )
    return ran, digests, order


def verdict(ran: Ran) -> str:
    """In a few words, what came of a row."""
    if ran.skipped:
        return f"not run: {ran.skipped}"
    if not ran.differ:
        return f"all {ran.artefacts} equal"
    same = f"{ran.artefacts - len(ran.differ)} of {ran.artefacts} equal"
    return f"{same}, as promised" if ran.as_promised else f"**{same}**"


def table(found: Sequence[Ran]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| how it was run | digests | jobs | in another order | seconds |",
        "|---|---|---|---|---|",
    ]
    for ran in found:
        order = "" if ran is found[0] or ran.skipped else ("yes" if ran.order_differs else "no")
        lines.append(
            f"| {ran.how} | {verdict(ran)} | {ran.jobs or ''} | {order} | "
            f"{format(ran.seconds, '.0f') if ran.seconds else ''} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

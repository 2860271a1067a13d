"""Where the tests run the tiny study: a copy of the code, folders, and Snakemake in them.

The `conftest.py` of a folder of tests imports the fixtures it needs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "profiles", "envs", "pyproject.toml")
MINUTES = 30


@dataclass(frozen=True)
class Result:
    """How a run of Snakemake ended and what it said on the terminal."""

    code: int
    text: str

    @property
    def jobs(self) -> dict[str, int]:
        """Number of jobs by rule, from the table that Snakemake begins with."""
        table = self.text.partition("Job stats:")[2].partition("total ")[0]
        return {rule: int(count) for rule, count in re.findall(r"(?m)^(\w+) +(\d+)$", table)}

    def shards(self, rule: str) -> set[tuple[str, str, str]]:
        """Zoo, architecture and number of each shard that `--summary` says a rule is to make."""
        lines = [line.split("\t") for line in self.text.splitlines() if "\tupdate pending" in line]
        made = [Path(line[0]) for line in lines if line[2] == rule]
        return {(*path.parts[-3:-1], path.stem.rpartition("_")[2]) for path in made}


@dataclass(frozen=True)
class Place:
    """A copy of the project's code, and a folder in which its tiny study is run."""

    source: Path
    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results/tiny"

    @property
    def digests(self) -> dict[str, str]:
        return json.loads((self.results / "digests.json").read_text())

    def command(self, *arguments: str) -> list[str]:
        """The command line of Snakemake; what `arguments` say overrides the tiny study."""
        return [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--snakefile", str(self.source / "Snakefile"), "--directory", str(self.folder)),
            *("--configfile", str(self.source / "config/tiny.yaml")),
        ]

    def run(self, *arguments: str) -> Result:
        """Run Snakemake to its end."""
        return run(self.command(*arguments), self.folder)


def run(command: list[str], folder: Path) -> Result:
    """Run a command in a folder, as a user without a Snakemake profile of their own."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60 * MINUTES,
    )
    return Result(ended.returncode, ended.stdout)


def environment() -> dict[str, str]:
    """The environment of a user without a Snakemake profile of their own."""
    return {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE")}


def copy_code(folder: Path) -> Path:
    """Copy what a run needs of this checkout into an existing folder; returns that."""
    for part in PARTS:
        place = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        place(ROOT / part, folder / part)
    return folder


@pytest.fixture(name="run")
def run_fixture():
    """Run a command in a folder: its result."""
    return run


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """A copy of the code, so that nothing that changes meanwhile makes a finished run stale."""
    return copy_code(tmp_path_factory.mktemp("project"))


@pytest.fixture
def edit(source):
    """Change a file of the code for the length of a test."""
    before = {}

    def change(name, old, new):
        path = source / name
        text = path.read_text()
        assert old in text
        before[path] = text, path.stat()
        path.write_text(text.replace(old, new, 1))

    yield change
    for path, (text, stat) in before.items():
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture(scope="session")
def study(source, tmp_path_factory) -> Place:
    """The tiny study, finished on two cores; not to be changed."""
    place = Place(source, tmp_path_factory.mktemp("study"))
    ended = place.run("--cores", "2")
    assert ended.code == 0, ended.text[-5000:]
    return place


@pytest.fixture
def copied(study, tmp_path) -> Place:
    """A copy of the finished tiny study, to be changed at will."""
    shutil.copytree(study.folder, tmp_path / "study")
    return Place(study.source, tmp_path / "study")


@pytest.fixture
def empty(source, tmp_path) -> Place:
    """An empty folder to run the tiny study in."""
    (tmp_path / "empty").mkdir()
    return Place(source, tmp_path / "empty")

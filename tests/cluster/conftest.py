"""A Slurm of the tests' own, and the tiny study on it, through the profile that users take."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from slurm import Slurm, why_not

from places import Place, copied, empty, run_fixture, source, study

__all__ = ["copied", "empty", "run_fixture", "source", "study"]

# What a cluster of two nodes on two busy cores needs otherwise than the profile has it: answers
# sooner, and several shards in a job, because reading the rules takes longer than training one.
TINY = ("--slurm-init-seconds-before-status-checks", "1", "--group-components", "shard=4")


@pytest.fixture(scope="session")
def slurm(source, tmp_path_factory) -> Slurm:
    """A Slurm of two nodes without accounting."""
    reason = why_not()
    if reason:
        pytest.skip(f"not on this machine: {reason}")
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    stand_in = source / "profiles/slurm/without-accounting"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{stand_in}{os.pathsep}{os.environ['PATH']}")
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def on_slurm(slurm):
    """The command line of a run on Slurm, from a place, targets and more options."""

    def command(place: Place, *targets: str, options: Sequence[str] = ()) -> list[str]:
        profile = place.source / "profiles/slurm"
        return place.command(*targets, "--workflow-profile", str(profile), *TINY, *options)

    return command


@pytest.fixture
def by_sbatch(slurm):
    """The command line of a run through `cluster-generic`, likewise."""

    def command(place: Place, *targets: str, options: Sequence[str] = ()) -> list[str]:
        profile = place.source / "profiles/cluster-generic"
        return place.command(*targets, "--workflow-profile", str(profile), *options)

    return command


@pytest.fixture
def started(tmp_path):
    """Start a command in a folder, to look at while it runs; its process and its output."""

    @contextmanager
    def start(command: list[str], folder: Path):
        said = tmp_path / "said"
        with open(said, "w") as stream:
            process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream)
        try:
            yield process, said
        finally:
            process.kill()
            process.wait()

    return start

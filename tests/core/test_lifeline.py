"""A job ends with the run that started it, and with no other process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lib
from lib.core import lifeline

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="not on this machine: it has no /proc"
)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(lib.__file__).parents[1])}
JOB = """
import sys, time
from lib.core.progress import job
with job("zoo", sys.argv[1]) as log:
    log.info("begins")
    time.sleep(60)
"""
# As Snakemake does it: the job is the child of a shell, which nobody kills.
RUN = f"""
import subprocess, sys
from lib.core import lifeline
lifeline.announce()
subprocess.run(["bash", "-c", '"$@"; true', "-", sys.executable, "-c", {JOB!r}, sys.argv[1]])
"""


def wait_for(what, seconds=60):
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.02)


def start(code, log, environment=ENVIRONMENT):
    """A process of some code, once it has logged that it begins."""
    running = subprocess.Popen(
        [sys.executable, "-c", code, log],
        env=environment,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: log.exists() and "begins" in log.read_text())
    return running


def test_a_job_ends_when_its_run_is_killed(tmp_path):
    log = tmp_path / "zoo.log"
    running = start(RUN, log)
    running.send_signal(signal.SIGKILL)
    running.wait()
    wait_for(lambda: "stopped: the run that started this job has ended" in log.read_text())

    def alone():
        try:
            os.killpg(running.pid, 0)
        except ProcessLookupError:
            return True

    wait_for(alone)
    assert "done in" not in log.read_text()


@pytest.mark.parametrize("name", ["", "elsewhere 1:1:1"])
def test_a_job_of_no_run_or_of_one_that_cannot_be_seen_goes_on(tmp_path, name):
    running = start(JOB, tmp_path / "log", ENVIRONMENT | {lifeline.VARIABLE: name})
    time.sleep(3 * lifeline.EVERY)
    assert running.poll() is None
    running.kill()
    running.wait()


def test_the_number_of_a_process_that_is_gone_may_be_another_process_now(tmp_path, monkeypatch):
    monkeypatch.delenv(lifeline.VARIABLE, raising=False)
    lifeline.announce()
    known, _, since = os.environ[lifeline.VARIABLE].rpartition(":")
    environment = ENVIRONMENT | {lifeline.VARIABLE: f"{known}:{int(since) - 1}"}
    ended = subprocess.run(
        [sys.executable, "-c", JOB, tmp_path / "log"], env=environment, capture_output=True
    )
    assert ended.returncode == 1 and b"stopped: the run that started" in ended.stderr

"""GPUs are shared out by locks; here they are names alone, and processes that hold them."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lib.core import devices
from lib.data.images import ImagesError, load_split

HOLD = """
import logging, os, sys
from lib.core import devices
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
devices.POLL = 0.01
devices.take("cuda")
print("has", os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""
LIB = str(Path(devices.__file__).parents[2])


@pytest.fixture
def holder(tmp_path):
    """Start a process that takes a GPU of those visible and holds it."""
    started = []

    def start(visible, **variables):
        environment = {k: v for k, v in os.environ.items() if k not in devices.SCHEDULED}
        environment |= {"PYTHONPATH": LIB, "TMPDIR": str(tmp_path), devices.VISIBLE: visible}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env=environment | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def says(process):
    return process.stdout.readline().strip()


def has(process):
    """The GPU that a process has been given."""
    assert says(process).startswith("on GPU")
    return says(process).removeprefix("has ")


def test_each_process_has_a_gpu_of_its_own_and_a_killed_one_leaves_it(holder):
    first, second = holder("3,GPU-5/1"), holder("3,GPU-5/1")
    held = {has(first): first, has(second): second}
    assert set(held) == {"3", "GPU-5/1"}
    third = holder("3,GPU-5/1")
    assert says(third) == "waiting for a free GPU of 3, GPU-5/1"
    held["GPU-5/1"].kill()
    assert has(third) == "GPU-5/1"


def test_one_that_ends_leaves_its_gpu_too(holder):
    first, second = holder("0"), holder("0")
    lines = {process: says(process) for process in (first, second)}
    owner = next(process for process, line in lines.items() if line.startswith("on GPU"))
    waiting = second if owner is first else first
    assert lines[waiting].startswith("waiting")
    owner.communicate("")
    assert has(waiting) == "0"


def test_a_gpu_that_slurm_gave_is_the_one(holder):
    assert [has(holder("0", SLURM_JOB_ID=job)) for job in ("7", "8")] == ["0", "0"]


def test_several_that_slurm_gave_are_shared_out_inside_its_job(holder):
    jobs = [holder("0,1", SLURM_JOB_ID=job) for job in ("7", "8", "7")]
    found = [has(job) for job in jobs]
    assert sorted(found[::2]) == ["0", "1"] and found[1] == "0"


@pytest.mark.parametrize("setting", ["", " , ", "-1", "NoDevFiles"])
def test_no_visible_gpu_is_an_error_that_says_so(setting, monkeypatch):
    monkeypatch.setenv(devices.VISIBLE, setting)
    with pytest.raises(devices.DeviceError, match=f"CUDA_VISIBLE_DEVICES is '{setting}'"):
        devices.take("cuda")


def test_a_study_on_the_cpu_takes_none(monkeypatch):
    monkeypatch.setenv(devices.VISIBLE, "0,1")
    devices.take("cpu")
    assert os.environ[devices.VISIBLE] == "0,1"


@pytest.mark.parametrize("built", [True, False])
def test_a_torch_without_cuda_is_said_before_anything_is_read(built, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    devices.check("cpu")
    wanted = (ImagesError, "no such file") if built else (devices.DeviceError, "build for the CPU")
    with pytest.raises(wanted[0], match=wanted[1]):
        load_split(tmp_path / "test.h5", "cuda")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, 524])
def test_without_locks_a_gpu_is_taken_and_that_is_said(monkeypatch, caplog, number):
    def none(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(devices.fcntl, "flock", none)
    with caplog.at_level(logging.WARNING, "lib"):
        name, lock = devices._first_free(["4", "7"])
    assert name in ("4", "7") and lock is None and "has locks" in caplog.text


def test_where_one_folder_has_no_locks_another_is_used(monkeypatch, tmp_path):
    lock = devices.fcntl.flock

    def elsewhere(stream, how):
        if str(tmp_path) in stream.name:
            raise OSError(errno.ENOLCK, "no locks")
        return lock(stream, how)

    monkeypatch.setattr(devices.fcntl, "flock", elsewhere)
    monkeypatch.setattr(devices, "_temporary", lambda: [str(tmp_path)])
    assert devices._folder() not in (None, tmp_path)

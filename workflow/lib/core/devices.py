"""Which GPU a job runs on: one that no other job has, of those it may see."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lib.core.errors import InputError

log = logging.getLogger("lib")
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Jobs of a scheduler, by the variables they know themselves by: it may number GPUs in each anew.
SCHEDULED = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
NONE = ("", "-1", "NoDevFiles")  # how a GPU that is not there is named
POLL = 1.0  # seconds between looks for a free GPU
_taken: list[IO | None] = []


class DeviceError(InputError):
    """There is no device of the kind that the study asks for."""


def take(device: str) -> None:
    """With `device` "cuda", let this process see one GPU alone, which no other job is given.

    Waits while all of them are taken. The GPU is this process's until it ends, in whatever way,
    because the kernel lifts its lock. Where a scheduler shows it a single GPU, that is the one.
    To be called before CUDA is first used.

    Raises:
        DeviceError: no GPU is visible.
    """
    if device != "cuda" or _taken:
        return
    names = visible()
    if not names:
        setting = os.environ.get(VISIBLE)
        why = "is not set" if setting is None else f"is {setting!r}"
        raise DeviceError(f"device is cuda, but no GPU is to be seen here; {VISIBLE} {why}")
    name, lock = names[0], None
    if len(names) > 1 or not _job():
        name, lock = _first_free(names)
    os.environ[VISIBLE] = name
    _taken.append(lock)
    log.info("on GPU %s of %s", name, ", ".join(names))


def visible() -> list[str]:
    """The GPUs that this process may see, as `CUDA_VISIBLE_DEVICES` names them."""
    if VISIBLE in os.environ:
        named = (name.strip() for name in os.environ[VISIBLE].split(","))
        return [name for name in named if name not in NONE]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def check(device: str) -> None:
    """Refuse "cuda" where torch is built without it.

    Raises:
        DeviceError: it is.
    """
    import torch

    if device == "cuda" and not torch.backends.cuda.is_built():
        raise DeviceError(
            f"device is cuda, but this torch ({torch.__version__}) is a build for the CPU; "
            "install one with CUDA (docs/guides/cluster.md)"
        )


def _job() -> str | None:
    return next((os.environ[name] for name in SCHEDULED if os.environ.get(name)), None)


def _first_free(names: Sequence[str]) -> tuple[str, IO | None]:
    folder, waiting = _folder(), False
    if folder is None:
        name = names[os.getpid() % len(names)]
        log.warning(
            "no folder for temporary files has locks, so GPU %s is taken without one; jobs side by "
            "side may share it: run one at a time, or set TMPDIR to a folder on a local disk",
            name,
        )
        return name, None
    while True:
        for name in names:
            file = re.sub(r"[^\w-]", "_", f"{_job() or 'gpu'}-{name}") + ".lock"
            stream = open(folder / file, "a")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return name, stream
            except BlockingIOError:
                stream.close()
        if not waiting:
            log.info("waiting for a free GPU of %s", ", ".join(names))
            waiting = True
        time.sleep(POLL)


def _folder() -> Path | None:
    """Where the locks of this user's jobs lie: the first folder that can be locked in."""
    for parent in dict.fromkeys([*_temporary(), "/tmp", "/dev/shm"]):
        folder = Path(parent, f"netspace-gpus-{os.getuid()}")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            with open(folder / f"try-{os.getpid()}", "a") as stream:
                Path(stream.name).unlink()
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder
        except OSError as error:
            log.info("no locks in %s: %s", folder, error.strerror or error.errno)
    return None


def _temporary() -> list[str]:
    """The folder for temporary files, if there is one."""
    try:
        return [tempfile.gettempdir()]
    except OSError:
        return []

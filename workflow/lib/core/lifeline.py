"""A job ends with the run that started it, also when that is killed and can tell nobody.

Otherwise it would go on for hours, and write its results over those of the next run.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

VARIABLE = "NETSPACE_RUN"
EVERY = 0.5  # seconds
log = logging.getLogger("lib")


def announce() -> None:
    """Make this process the one that jobs started from here on end with."""
    if found := _identity(os.getpid()):
        os.environ[VARIABLE] = found


def follow() -> None:
    """End this process as soon as the one that was announced has ended; needs Linux."""
    name = os.environ.get(VARIABLE, "")
    # On another machine, or in a container of its own, nothing can be told about that process.
    if name and name.startswith(f"{_here()}:"):
        process = int(name.split(":")[1])
        threading.Thread(target=_follow, args=(process, name), daemon=True).start()


def _follow(process: int, name: str) -> None:
    while _identity(process) == name:
        time.sleep(EVERY)
    log.error("stopped: the run that started this job has ended (process %d)", process)
    os._exit(1)


def _identity(process: int) -> str | None:
    """Machine, number and starting time of a process that is alive; numbers are used again."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{_here()}:{process}:{fields[19]}"


def _here() -> str:
    """This machine, and the space of process numbers on it."""
    try:
        space = os.readlink("/proc/self/ns/pid")[5:-1]
    except OSError:  # no /proc, or one that hides it
        space = "?"
    return f"{os.uname().nodename} {space}"

"""The throughput of the whole machine: one process on each core, all doing the same at once."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.bench.contenders import Contender
from lib.bench.sequential import tune_allocator
from lib.bench.subjects import Runner, Subject

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measured:
    """What was measured of one contender.

    Attributes:
        rates: network-steps (multiply-adds for `peak`) in a second of the whole machine,
            [repetitions].
        setup: seconds until it was ready to train, in the slowest process.
        memory: bytes that a process grew by, at most; None where the system does not tell.
    """

    rates: np.ndarray
    setup: float
    memory: int | None


def cores() -> list[int]:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cpu_name() -> str:
    """The processor's name for itself."""
    found = Path("/proc/cpuinfo")
    text = found.read_text() if found.exists() else ""
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return name[1] if name else "unknown"


def measure(
    subject: Subject,
    contenders: Sequence[Contender],
    processes: int,
    seconds: float,
    repetitions: int,
) -> list[Measured]:
    """Let contenders take turns, `repetitions` times, for `seconds` each.

    Every process trains networks of its own on a core of its own. They start each turn together
    and go on until its time is over, so that what one core takes from the others (memory, power)
    is taken in every measurement.

    Raises:
        RuntimeError: a process failed; its own message is on stderr.
    """
    context = multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(processes), context.SimpleQueue()
    arguments = (barrier, found, subject, contenders, seconds, repetitions)
    own = cores()
    workers = [
        context.Process(target=_work, args=(own[k % len(own)], *arguments), daemon=True)
        for k in range(processes)
    ]
    for worker in workers:
        worker.start()
    parts = []
    while len(parts) < processes:
        if found.empty():
            if any(worker.exitcode for worker in workers):
                barrier.abort()
                raise RuntimeError(f"a process that measured {subject.architecture} failed")
            time.sleep(0.05)
        else:
            parts.append(found.get())
    for worker in workers:
        worker.join()
    rates, setups, memories = (list(part) for part in zip(*parts, strict=True))
    return [
        Measured(
            np.sum([rate[k] for rate in rates], 0),
            max(setup[k] for setup in setups),
            None if memories[0][k] is None else max(memory[k] for memory in memories),
        )
        for k in range(len(contenders))
    ]


def _work(core: int, barrier, found, subject, contenders, seconds, repetitions) -> None:
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    tune_allocator()
    runners, setups, memories = [], [], []
    for contender in contenders:
        runner, setup, memory = _prepared(subject, contender)
        runners.append(runner)
        setups.append(setup)
        memories.append(memory)
    rates = np.zeros((len(contenders), repetitions))
    for turn in range(repetitions):
        for k, runner in enumerate(runners):
            barrier.wait()
            rates[k, turn] = rate(runner, seconds)
    found.put((rates, setups, memories))


def rate(runner: Runner, seconds: float) -> float:
    """What a runner does in a second, while it runs for `seconds` or a little longer."""
    done, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds or not done:
        done += runner()
    return done / passed


def _prepared(subject: Subject, contender: Contender) -> tuple[Runner, float, int | None]:
    """A runner that is warm, the seconds until it first was, and the bytes it takes.

    Memory is that of a second one: libraries and machine code are there by then, and what is
    needed to build it and then given back is not counted.
    """
    start = time.perf_counter()
    contender.runner(subject)()
    setup = time.perf_counter() - start
    _forget()
    before = resident()
    runner = contender.runner(subject)
    _forget()
    runner()
    after = resident("VmHWM")
    return runner, setup, None if after is None or before is None else max(0, after - before)


def _forget() -> None:
    """Give freed memory back to the system; the peak so far is what is taken now."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        REFERENCES.write_text("5")
    except (OSError, AttributeError):
        pass


def resident(name: str = "VmRSS") -> int | None:
    """Bytes of memory this process takes, or (VmHWM) took at most; None where it is not told."""
    if not STATUS.exists():
        return None
    return int(re.search(rf"^{name}:\s*(\d+) kB", STATUS.read_text(), re.M)[1]) * 1024

"""How the cost of a training job grows with its number of networks: everything a user waits for.

Each row is one call of `lib.engine.training.train` in a process of its own, on one core, with the
default engine: initialisation, compiling, data order, training, validation, checkpoints. Epochs
are few, since every epoch costs the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from lib.bench.machine import resident
from lib.bench.subjects import SUBJECTS
from lib.config import Engine as EngineSettings
from lib.config import parse_memory
from lib.core.progress import track
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine.training import Engine, train

SIZES, QUICK = (10, 100, 1_000, 10_000), (10, 100, 1_000)
EPOCHS = 3
VALIDATION = 250  # images, as in the default study


@dataclass(frozen=True)
class Growth:
    """One job.

    Attributes:
        seconds: of the whole job, compiling included.
        bytes: that the process grew by, at most; None where the system does not tell.
    """

    architecture: str
    dataset: str
    networks: int
    epochs: int
    seconds: float
    ms_per_network_epoch: float
    bytes: int | None
    bytes_per_network: float | None


def measure(sizes: Sequence[int]) -> list[Growth]:
    """One job of each size, one after the other."""
    found = []
    for size in track(sizes, "sizes"):
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            found.append(apart.submit(run, size).result())
    return found


def run(networks: int, epochs: int = EPOCHS) -> Growth:
    """Train so many networks here and now."""
    import torch

    torch.set_num_threads(1)
    subject = SUBJECTS[0]
    images, asked = subject.data(), EngineSettings()
    validation = ImageSplit(images.x[:VALIDATION], images.y[:VALIDATION], images.classes, "", "")
    cfg = subject.training().model_copy(update={"epochs": epochs})
    engine = Engine(asked.kernels, max_memory=parse_memory(asked.max_memory))
    before, start = resident(), time.perf_counter()
    stream = Stream("bench", subject.architecture)
    streams = [stream.of(k) for k in range(networks)]
    train(subject.build, streams, cfg, images, validation, engine=engine)
    seconds, after = time.perf_counter() - start, resident("VmHWM")
    grown = None if before is None or after is None else after - before
    return Growth(
        subject.architecture,
        subject.dataset,
        networks,
        epochs,
        seconds,
        1e3 * seconds / networks / epochs,
        grown,
        grown and grown / networks,
    )


def table(rows: Iterable[Growth]) -> str:
    """The rows as text in columns."""
    lines = [f"{'networks':>9}{'seconds':>9}{'ms/network/epoch':>18}{'MB':>8}{'kB each':>9}"]
    for row in rows:
        memory = ("", "")
        if row.bytes is not None:
            memory = f"{row.bytes / 1e6:,.0f}", f"{row.bytes_per_network / 1e3:,.0f}"
        lines.append(
            f"{row.networks:9,}{row.seconds:9.1f}{row.ms_per_network_epoch:18.3f}"
            f"{memory[0]:>8}{memory[1]:>9}"
        )
    return "\n".join(lines)

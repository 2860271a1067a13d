"""`python -m lib.bench.zoo`: networks per hour of the whole machine, against the best plain loop.

For each architecture, ways to train take turns in one run: the sequential loop in each of its
variants (`lib.bench.sequential`), `torch.func.vmap` and compiled kernels at several ensemble
sizes, and loops of nothing but multiply-adds. Each turn occupies all cores, one process each. A
row is one way:

- `networks_per_hour`: whole trainings (`steps` steps of `batch` items), at the median rate. Only
  training steps are counted: gathering a batch, both passes, the optimizer. Not counted are what
  comes once (`setup_seconds`: compiling or tracing, drawing the initial weights) and what surrounds
  the steps of a study (drawing the order, validation, checkpoints), which `lib.bench.growth` has.
- `ratio_to_sequential`: the median over turns of its rate over that of the fastest sequential
  variant in the same turn, and the range of it.
- `share_of_peak`: multiply-adds of convolutions and linear layers in a second
  (`Subject.multiply_adds`), over the most that `lib.bench.peak` did in the same turn; the median.
- `rates`: network-steps in a second, turn by turn.
- `bytes_per_network`: what its process grew by while it trained, over `ensemble_size`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np

from lib.bench import growth, peak, sequential
from lib.bench.contenders import Contender
from lib.bench.machine import Measured, cores, cpu_name, measure
from lib.bench.row import Row
from lib.bench.subjects import SUBJECTS, Subject
from lib.core.progress import job, track
from lib.core.repro import atomic, versions

SIZES = (1, 10, 50)  # of ensembles
LARGE = 2**30  # multiply-adds of a network-step above which large ensembles take too long
SLOW = ("ResNet14",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON and a page."""
    parser = argparse.ArgumentParser(prog="python -m lib.bench.zoo", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--processes", type=int, default=len(cores()), help="default: all cores")
    parser.add_argument("--architectures", nargs="+", help="only these")
    parser.add_argument("--seconds", type=float, help="of a turn")
    parser.add_argument("--repetitions", type=int, help="turns of each way")
    parser.add_argument("--out", type=Path, help="JSON file to write; growth and page beside it")
    options = parser.parse_args(arguments)
    seconds, repetitions = (0.4, 3) if options.quick else (1.0, 7)
    seconds, repetitions = options.seconds or seconds, options.repetitions or repetitions
    rows = []
    with job("bench"):
        for subject in track(chosen(options.quick, options.architectures), "architectures"):
            ways = contenders(subject, options.quick)
            found = measure(subject, ways, options.processes, seconds, repetitions)
            rows += rows_of(subject, ways, found, options.processes)
        grown = growth.measure(growth.QUICK if options.quick else growth.SIZES)
    print(table(rows), growth.table(grown), sep="\n\n")
    if options.out:
        from lib.bench import page  # the processes that measure need no plots

        for path, part in ((options.out, rows), (options.out.with_name("growth.json"), grown)):
            with atomic(path) as temporary:
                temporary.write_text(json.dumps([asdict(row) for row in part], indent=2) + "\n")
        with atomic(options.out.with_suffix(".html")) as temporary:
            temporary.write_text(page.render(rows, grown), encoding="utf-8")
    return 0


def chosen(quick: bool, architectures: Sequence[str] | None) -> list[Subject]:
    """What is trained: all, those named, or what is quick."""
    if architectures:
        return [subject for subject in SUBJECTS if subject.architecture in architectures]
    return [s for s in SUBJECTS if not quick or (s.shape[-1] < 32 and s.architecture not in SLOW)]


def contenders(subject: Subject, quick: bool) -> list[Contender]:
    """The ways to train a subject; `quick` leaves out those that are slow to get ready."""
    variants = [v for v in sequential.VARIANTS if sequential.suits(v, subject.build())]
    if quick:
        variants = [v for v in variants if v != "compile"]
        peaks, sizes = list(peak.RUNNERS)[-1:], SIZES[1:2]
    else:
        peaks, sizes = list(peak.RUNNERS), SIZES
    if subject.multiply_adds() > LARGE:
        sizes = [size for size in sizes if size <= 10]
    return [
        *(Contender("sequential", 1, variant) for variant in variants),
        *(Contender(kernels, size) for kernels in ("vmap", "compiled") for size in sizes),
        *(Contender("peak", 1, name) for name in peaks),
    ]


def rows_of(
    subject: Subject, ways: Sequence[Contender], found: Sequence[Measured], processes: int
) -> list[Row]:
    """One row for each way to train, from what was measured of all."""
    both = list(zip(ways, found, strict=True))
    peaks = np.max([measured.rates for way, measured in both if way.kernels == "peak"], 0)
    loops = [(way, measured) for way, measured in both if way.kernels == "sequential"]
    baseline, base = max(loops, key=lambda pair: np.median(pair[1].rates))
    multiply_adds, rows = subject.multiply_adds(), []
    for way, measured in both:
        if way.kernels == "peak":
            continue
        rate, ratios = float(np.median(measured.rates)), measured.rates / base.rates
        rows.append(
            Row(
                subject.architecture,
                subject.dataset,
                "cpu",
                way.networks,
                networks_per_hour=3600 * rate / subject.steps,
                ratio_to_sequential=statistics.median(ratios.tolist()),
                share_of_peak=float(np.median(measured.rates * multiply_adds / peaks)),
                bytes_per_network=measured.memory and measured.memory / way.networks,
                kernels=way.kernels,
                variant=way.variant,
                baseline=way is baseline,
                ratio_lowest=float(ratios.min()),
                ratio_highest=float(ratios.max()),
                ms_per_network_step=1e3 * processes / rate,
                setup_seconds=measured.setup,
                multiply_adds=multiply_adds,
                batch=subject.batch,
                steps=subject.steps,
                rates=measured.rates.tolist(),
                processes=processes,
                peak_multiply_adds=float(peaks.max()),
                cpu=cpu_name(),
                date=date.today().isoformat(),
                versions=versions(),
            )
        )
    return rows


def table(rows: Iterable[Row]) -> str:
    """The rows as text in columns."""
    lines = [
        f"{'architecture':13}{'data':26}{'kernels':26}{'at once':>8}{'networks/h':>12}{'ratio':>7}"
        f"{'range':>14}{'ms/step':>9}{'of peak':>9}{'MB each':>9}{'setup s':>9}"
    ]
    for row in rows:
        name = f"{row.kernels} {row.variant}{' (baseline)' if row.baseline else ''}"
        memory = "" if row.bytes_per_network is None else f"{row.bytes_per_network / 1e6:.2f}"
        lines.append(
            f"{row.architecture:13}{row.dataset:26}{name:26}{row.ensemble_size:8}"
            f"{row.networks_per_hour:12,.0f}{row.ratio_to_sequential:7.2f}"
            f"{row.ratio_lowest:7.2f}-{row.ratio_highest:<6.2f}{row.ms_per_network_step:9.3f}"
            f"{row.share_of_peak:9.1%}{memory:>9}{row.setup_seconds:9.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""How a space was made: what its page's last section says, and the sentence on its data."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from lib.config import Study
from lib.core.benchmarks import rows_of
from lib.core.repro import versions
from lib.report.digests import content_digest

SOURCES = {
    "digits": "scikit-learn's handwritten digits",
    "cifar10": "CIFAR-10",
    "tiny_imagenet": "TinyImageNet",
    "folder": "images from a folder",
}


def about(study: Study, space: str) -> str:
    """What the networks of a space are, what they are functions of, and how many there are."""
    cfg = study.spaces[space]
    zoo = study.zoos[cfg.zoo]
    data = study.data[zoo.data]
    if data.kind == "shapes":
        count = zoo.instances.total
        if data.source == "procedural":
            return f"There are {count} shapes: chairs that the study makes itself."
        return f"There are {count} shapes, from {Path(data.source).name}."
    colour = "colour" if data.channels == 3 else "grey"
    images = f"{SOURCES[data.source]} ({data.size}x{data.size} pixels, {colour})"
    names = cfg.architectures
    counts = {zoo.of(name).total for name in names}
    count = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    if len(names) == 1:
        own = "" if zoo.source_of(names[0]) else "each trained from an initialisation of its own "
        return f"There are {count} of them, {own}to classify {images}."
    return (
        f"{count} networks of each architecture ({', '.join(names)}), trained to classify "
        f"{images}. An encoder knows a network's architecture from the layout of its weights."
    )


def run_facts(
    study: Study,
    space: str,
    benchmarks: Iterable[str | Path],
    artefacts: Iterable[str | Path],
) -> dict:
    """Config, versions, digests of artefacts, times of the jobs measured so far, the machine.

    Args:
        study: the study; of it, what the space depends on is shown.
        space: the name of the space.
        benchmarks: Snakemake's benchmark files, or folders of them, below `<results>/benchmarks`.
        artefacts: files below the folder of results whose content is told by its digest.
    """
    root = Path(study.results).absolute()
    return {
        "config": study.of(space),
        "versions": versions(),
        "digests": {
            Path(path).absolute().relative_to(root).as_posix(): content_digest(path)
            for path in artefacts
        },
        "times": _times(benchmarks, root / "benchmarks"),
        "machine": {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count()},
    }


def _times(benchmarks: Iterable[str | Path], root: Path) -> list[dict]:
    """Seconds of each measured job, from Snakemake's benchmark files."""
    files = set()
    for path in (Path(path).absolute() for path in benchmarks):
        files |= set(path.rglob("*.tsv")) if path.is_dir() else {path}
    found = []
    for path in sorted(path for path in files if path.is_file()):
        step = path.relative_to(root).with_suffix("").as_posix()
        found += [{"step": step, "seconds": float(row["s"])} for row in rows_of(path)]
    return found

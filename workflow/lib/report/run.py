"""How a study was made: what a report's last section says, and its one sentence on the data."""

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


def about(study: Study) -> str:
    """What the networks and their images are, and what the encoder knows of them."""
    images, names = study.images, ", ".join(study.architectures)
    colour = "colour" if images.channels == 3 else "grey"
    counts = {study.zoo.of(name).total for name in study.architectures}
    count = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return (
        f"{count} networks of each architecture ({names}), trained to classify "
        f"{SOURCES[images.source]} ({images.size}x{images.size} pixels, {colour}). "
        "An encoder knows a network's architecture from the layout of its weights."
    )


def about_single(study: Study) -> str:
    """What the networks of the performance zoo and their images are."""
    images, single = study.images, study.singlearch
    colour = "colour" if images.channels == 3 else "grey"
    return (
        f"There are {single.instances.total} of them, each trained from an initialisation of its "
        f"own to classify {SOURCES[images.source]} ({images.size}x{images.size} pixels, {colour})."
    )


def about_shapes(study: Study) -> str:
    """What the shapes are."""
    shapes, count = study.shapes, study.shapes.instances.total
    if shapes.source == "procedural":
        return f"There are {count} shapes: chairs that the study makes itself."
    return f"There are {count} shapes, from {Path(shapes.source).name}."


def run_facts(study: Study, benchmarks: str | Path, artefacts: Iterable[str | Path]) -> dict:
    """Config, versions, digests of `artefacts`, times of the jobs measured so far, the machine.

    The config holds what `study` was made from: of one part of a study, that part's alone.
    """
    root = Path(study.results).absolute()
    return {
        "config": study.model_dump(mode="json", exclude_unset=True),
        "versions": versions(),
        "digests": {
            Path(path).absolute().relative_to(root).as_posix(): content_digest(path)
            for path in artefacts
        },
        "times": _times(Path(benchmarks)),
        "machine": {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count()},
    }


def _times(folder: Path) -> list[dict]:
    """Seconds of each measured job, from Snakemake's benchmark files."""
    found = []
    for path in sorted(folder.rglob("*.tsv")):
        step = path.relative_to(folder).with_suffix("").as_posix()
        found += [{"step": step, "seconds": float(row["s"])} for row in rows_of(path)]
    return found

"""`python -m lib.bench.cost CONFIG...`: what the long steps of studies take, from configs alone.

Multiply-adds are those of convolutions and matrix products as torch's `FlopCounterMode` counts
them, three times a forward pass where gradients are taken; validation, element-wise work and short
steps are left out. Memory is what a job of the zoo takes beside libraries, images included, by the
plan that the job itself checks. Hours are at `--rate`, which is given and not measured here.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from lib import nets
from lib.bench.embedder import counted, prepared
from lib.config import ClassifierSpace, ClassifierZoo, Embedding, Engine, Images, Study, Training
from lib.config.experiments import LatentOptimization
from lib.core.errors import InputError
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine.training.memory import footprint
from lib.engine.training.recipe import Recipe
from lib.study import parse_study, read
from lib.zoo.extract import shard_ranges

# Images to train, validate and test on, and classes, of sources that are always the same.
PUBLISHED = {
    "digits": (1008, 250, 539, 10),
    "cifar10": (40_000, 10_000, 10_000, 10),
    "tiny_imagenet": (80_000, 20_000, 10_000, 200),
}
TRAINED = 3  # multiply-adds of a training step over those of a forward pass
HEAD = (
    *("step", "networks", "jobs", "steps of a network", "10^12 multiply-adds"),
    *("hours", "GB of memory", "GB on disk"),
)


@dataclass(frozen=True)
class Cost:
    """What one step of a study takes; `memory` and `disk` in bytes, where there is something."""

    step: str
    networks: int
    jobs: int
    steps: float  # gradient steps, counted for each network that is in them
    multiply_adds: float
    memory: int = 0
    disk: int = 0

    def row(self, rate: float) -> list[str]:
        """Cells of a table; `rate` in multiply-adds a second."""
        hours = self.multiply_adds / rate / 3600
        sizes = (self.multiply_adds / 1e12, hours, self.memory / 1e9, self.disk / 1e9)
        counts = (self.networks, self.jobs, round(self.steps))
        return [self.step, *(f"{n:,}" if n else "" for n in counts), *map(_shown, sizes)]


def _shown(size: float) -> str:
    return "" if not size else f"{size:,.0f}" if size >= 100 else f"{size:.2g}"


@dataclass(frozen=True)
class Kind:
    """The images of a study, by number, and their shape."""

    train: int
    validation: int
    test: int
    classes: int
    shape: tuple[int, int, int]

    @classmethod
    def of(
        cls, cfg: Images, counts: Sequence[int] | None = None, where: str = "data.<data>"
    ) -> Kind:
        """As many of each class as the config allows.

        Args:
            cfg: which images.
            where: their place in the config, for messages.
            counts: images to train, validate and test on, and classes, of a folder.

        Raises:
            InputError: it is a folder, and no counts are given.
        """
        if cfg.source not in PUBLISHED and counts is None:
            raise InputError(
                f"how many images `{where}.source: {cfg.source}` has does not follow from a "
                "config; say --counts TRAIN VALIDATION TEST CLASSES"
            )
        *counts, classes = PUBLISHED.get(cfg.source, counts)
        most = math.inf if cfg.limit_per_class is None else cfg.limit_per_class * classes
        counts = (int(min(count, most)) for count in counts)
        return cls(*counts, classes, (cfg.channels, cfg.size, cfg.size))

    def empty(self, count: int) -> ImageSplit:
        """So many images that take no memory."""
        x = torch.empty(1).expand(count, *self.shape)
        return ImageSplit(x, torch.empty(count), tuple(map(str, range(self.classes))), "", "")

    def build(self, architecture: str) -> torch.nn.Module:
        """A network for these images."""
        return nets.build(architecture, *self.shape[:2], self.classes)

    def forward(self, architecture: str) -> float:
        """Multiply-adds of a network on one image."""
        with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
            self.build(architecture).eval()(torch.empty(1, *self.shape))
        return counter.get_total_flops() / 2


@dataclass(frozen=True)
class Networks:
    """Networks that are trained: where their random streams begin, how many, how many in a job."""

    architecture: str
    total: int
    together: int
    stream: Stream


def kinds(study: Study, counts: Sequence[int] | None = None) -> dict[str, Kind]:
    """The images that a study's spaces need, by the name of the data; shapes are left out.

    Raises:
        InputError: some are a folder, and no counts are given.
    """
    found = {name: study.data[name] for name in study.data_made}
    return {
        name: Kind.of(cfg, counts, f"data.{name}")
        for name, cfg in found.items()
        if isinstance(cfg, Images)
    }


def costs(study: Study, images: Mapping[str, Kind]) -> Iterator[Cost]:
    """The long steps of a study's spaces of classifiers; `images` as `kinds` tells them."""
    for name, kind in images.items():
        size = (kind.train + kind.validation + kind.test) * math.prod(kind.shape)
        yield Cost(f"data {name}", 0, 1, 0, 0, 0, size)
    for name in study.zoos_made:
        cfg = study.zoos[name]
        if not isinstance(cfg, ClassifierZoo):
            continue
        for architecture in cfg.architectures or ():
            if not cfg.source_of(architecture):
                stream = Stream("zoo", study.seed, name, architecture)
                total = cfg.of(architecture).total
                networks = Networks(architecture, total, cfg.shard_size, stream)
                step = f"zoo {name}: {architecture}"
                yield zoo(step, networks, cfg.training, study.engine, images[cfg.data])
    for name in study.made:
        cfg = study.spaces[name]
        if isinstance(cfg, ClassifierSpace):
            yield from space(name, cfg, study, images[study.zoos[cfg.zoo].data])


def space(name: str, cfg: ClassifierSpace, study: Study, kind: Kind) -> Iterator[Cost]:
    """The long steps of a space, on images of this kind."""
    names, teacher, wanted = cfg.architectures or (), cfg.teacher, cfg.experiments
    if teacher.architecture:
        stream = Stream("space", study.seed, name, "teacher")
        networks = Networks(teacher.architecture, teacher.networks, 1, stream)
        step = f"{name}: teacher, {teacher.architecture}"
        yield zoo(step, networks, teacher.training, study.engine, kind)
    yield embedder(f"{name}: embedder", cfg.embedder, names, len(cfg.embedder.seeds), kind)
    for left_out in cfg.left_out:
        seen, without = [one for one in names if one not in left_out], ", ".join(left_out)
        seeds = len(wanted.unseen.seeds) if wanted.unseen else 0
        yield embedder(f"{name}: embedder without {without}", cfg.embedder, seen, seeds, kind)
    if wanted.latent_optimization:
        step = f"{name}: optimisation, and controls"
        yield optimised(step, names, wanted.latent_optimization, kind)


def zoo(step: str, networks: Networks, cfg: Training, engine: Engine, kind: Kind) -> Cost:
    """Training some networks on images of this kind."""
    total, size, architecture = networks.total, networks.together, networks.architecture
    epochs = sum(Recipe.of(cfg, networks.stream.of(i)).epochs for i in range(total))
    width = engine.width if engine.kernels == "vmap" else size
    one = footprint(
        lambda: kind.build(architecture),
        cfg,
        kind.empty(kind.train),
        kind.empty(kind.validation),
        engine.kernels,
    )
    running = min(width, total) if engine.kernels == "vmap" else 1
    memory = one.need(min(size, total), min(width, size, total), min(running, size))
    images = 4 * (kind.train + kind.validation) * math.prod(kind.shape)
    return Cost(
        step,
        total,
        len(shard_ranges(total, size)),
        epochs * math.ceil(kind.train / cfg.batch_size),
        TRAINED * epochs * kind.train * kind.forward(architecture),
        memory + images,
        2 * total * 4 * sum(v.numel() for v in kind.build(architecture).state_dict().values()),
    )


def embedder(
    step: str, cfg: Embedding, architectures: Sequence[str], seeds: int, kind: Kind
) -> Cost:
    """Training an embedder with some seeds."""
    arm = prepared(cfg, architectures, kind.shape, kind.classes)
    try:
        each = [counted(copy.deepcopy(arm), kind.shape, name) for name in architectures]
    except RuntimeError:  # what it does depends on values
        each = [counted(arm, kind.shape, name, meta=False) for name in architectures]
    networks = cfg.networks / (len(each) if cfg.draw == "mixed" else 1)
    done = sum(networks * (found["step"] + found["running"]) for found in each)
    return Cost(step, 0, seeds, seeds * cfg.steps, seeds * cfg.steps * done)


def optimised(step: str, architectures: Sequence[str], cfg: LatentOptimization, kind: Kind) -> Cost:
    """Optimisation of latents, and of weights and of fresh networks as its controls."""
    each = cfg.starts * (2 * len(cfg.start_from) + 1)
    done = sum(TRAINED * cfg.steps * cfg.batch * kind.forward(name) for name in architectures)
    runs = each * len(architectures)
    return Cost(step, runs, 1, runs * cfg.steps, each * done)


def table(study: Study, images: Mapping[str, Kind], rate: float) -> str:
    """The costs of a study as a Markdown table, with their sum."""
    found = list(costs(study, images))
    total = Cost(
        "**in all**",
        sum(cost.networks for cost in found),
        sum(cost.jobs for cost in found),
        sum(cost.steps for cost in found),
        sum(cost.multiply_adds for cost in found),
        max((cost.memory for cost in found), default=0),
        sum(cost.disk for cost in found),
    )
    rows = [
        HEAD,
        ("---", *["---:"] * (len(HEAD) - 1)),
        *(cost.row(rate) for cost in [*found, total]),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _somewhere(raw: Any) -> Any:
    """A config whose images have a path: what a study takes does not depend on where they are."""
    data = raw.get("data") if isinstance(raw, Mapping) else None
    if not isinstance(data, Mapping):
        return raw
    placed = {
        name: {"path": "anywhere", **cfg}
        if isinstance(cfg, Mapping) and cfg.get("kind") == "images" and "url" not in cfg
        else cfg
        for name, cfg in data.items()
    }
    return {**raw, "data": placed}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each config."""
    parser = argparse.ArgumentParser(prog="python -m lib.bench.cost", description=__doc__)
    parser.add_argument("configs", nargs="+", type=Path, help="YAML files")
    parser.add_argument(
        "--counts",
        type=int,
        nargs=4,
        metavar=("TRAIN", "VALIDATION", "TEST", "CLASSES"),
        help="images and classes of folders",
    )
    parser.add_argument("--rate", type=float, default=1e4, help="10^9 multiply-adds a second")
    options = parser.parse_args(arguments)
    for path in options.configs:
        try:
            study = parse_study(_somewhere(read(path)), str(path))
            images = kinds(study, options.counts)
        except InputError as error:
            parser.error(str(error))
        print(f"### `{path}`\n\n{table(study, images, options.rate * 1e9)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

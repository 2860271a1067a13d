"""The shapes of a study: chairs made by itself, or some of the meshes of a folder or archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lib.data.archive import DataError
from lib.data.chairs import chair, draw
from lib.data.meshes import Mesh, load_meshes, normalised
from lib.progress import track
from lib.repro import generator, seed_for

PROCEDURAL = "procedural"


class Shapes(NamedTuple):
    """Meshes by number of the shape, and why others were left out, by file name."""

    meshes: list[Mesh]
    left_out: dict[str, str]


def check(source: str) -> None:
    """Refuse a source that is not there, before any work starts.

    Raises:
        DataError: there is nothing at this path.
    """
    if source != PROCEDURAL and not Path(source).exists():
        raise DataError(
            f"shapes.source is {source!r}, which is neither `{PROCEDURAL}` nor the path of a "
            "folder or archive"
        )


def collect(source: str, count: int, seed: int) -> Shapes:
    """The first `count` shapes of a source; a study with more of them begins with the same.

    Args:
        source: `procedural`, or the path of a folder or archive of meshes, of which `count` are
            drawn.
        count: number of shapes.
        seed: of the study.

    Raises:
        DataError: the source cannot be read, or has fewer meshes that can be used.
    """
    if source == PROCEDURAL:
        return Shapes(list(track(_chairs(count, seed), "chairs", count)), {})
    usable, left_out = load_meshes(source)
    if len(usable) < count:
        raise DataError(
            f"{source} has {len(usable)} meshes that can be used ({len(left_out)} were left out), "
            f"the study needs {count}; lower shapes.instances"
        )
    order = torch.randperm(len(usable), generator=generator("shapes", seed, "order"))
    return Shapes([usable[i] for i in order[:count].tolist()], left_out)


def _chairs(count: int, seed: int) -> Iterator[Mesh]:
    for instance in range(count):
        rng = np.random.default_rng(seed_for("shapes", seed, "chair", instance))
        vertices, faces = chair(draw(rng))
        yield Mesh(f"chair-{instance:04d}", normalised(vertices), faces)

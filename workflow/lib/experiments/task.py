"""What an experiment is given: the networks, the data and the embedders of a space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from lib.config.experiments import Sampling
from lib.config.spaces import Controls, FieldSpace
from lib.config.zoos import FieldTraining, FieldZoo, Training
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.product import Embedder
from lib.engine.family import Family
from lib.engine.training import Engine
from lib.zoo.population import Population

SPLITS = ("train", "validation", "test")

Zoo = Mapping[str, Population]  # by architecture, in class order
Row = dict[str, Any]  # column name -> value


@dataclass(frozen=True)
class Task:
    """A space of classifiers, and what an experiment on it needs.

    Attributes:
        architectures: names of the architectures in class order.
        zoo: networks by split (train, validation, test) and architecture.
        images: images by split.
        embedders: trained embedders by their seeds, in order.
        stream: what the experiment draws from.
        seed: of the study; the column `seed` of rows that no embedder made.
        controls: settings of what results are compared with.
        teacher: its logits [images, K] on the training images.
        unseen: embedders by the set of architectures that they never saw, and by seed.
        training: how the zoo is trained.
        engine: what computes training.
        sampling: settings of that experiment; None where it is not asked for.
    """

    architectures: tuple[str, ...]
    zoo: Mapping[str, Zoo]
    images: Mapping[str, ImageSplit]
    embedders: Mapping[int, Embedder]
    stream: Stream
    seed: int
    controls: Controls = field(default_factory=Controls)
    teacher: Tensor | None = None
    unseen: Mapping[tuple[str, ...], Mapping[int, Embedder]] = field(default_factory=dict)
    training: Training | None = None
    engine: Engine | None = None
    sampling: Sampling | None = None


@dataclass(frozen=True)
class FieldTask:
    """A space of signed distance fields, and what an experiment on it needs.

    Attributes:
        family: the architecture of the fields.
        zoo: fields by split (train, validation, test).
        embedders: trained embedders by their seeds, in order.
        stream: what the experiment draws from.
        seed: of the study.
        space: settings of the space, such as the resolution of meshes.
        training: how the fields of the zoo are trained.
        field_zoo: settings of the zoo.
        originals: folder of the original meshes, `<shape>.ply`.
        meshes: folder that the experiment writes its meshes into.
    """

    family: Family
    zoo: Mapping[str, Population]
    embedders: Mapping[int, Embedder]
    stream: Stream
    seed: int
    space: FieldSpace
    training: FieldTraining
    field_zoo: FieldZoo
    originals: Path
    meshes: Path


def table(rows: Iterable[Row], columns: Iterable[str]) -> pd.DataFrame:
    """Rows as a table: `columns` first, then others in the order in which rows bring them."""
    rows = list(rows)
    found = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    return pd.DataFrame(rows, columns=list(found))

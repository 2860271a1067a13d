"""A zoo of fields: its meshes, and from trained fields to stored ones and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.config import FieldZoo, Instances
from lib.core.progress import track
from lib.core.streams import Stream
from lib.data.meshes import write_mesh
from lib.data.sdf import Samples
from lib.data.shapes import shapes
from lib.engine.family import Family
from lib.engine.training.loop import TrainedStack
from lib.engine.training.memory import ZOO
from lib.zoo.extract import network_name, split_of
from lib.zoo.population import Population, PopulationError
from lib.zoo.store import Catalogue, Shard

BATCH = 64  # fields that are measured at once


@dataclass(frozen=True)
class Fields:
    """Fields of some shapes and the points they are compared at.

    Attributes:
        flat: weights [n, P].
        near: points near the surface of each shape [n, M, 3], half of them inside.
        uniform: points of the cube [n, U, 3], for the share that shapes have in common.
        inside: whether those lie inside of the shape itself, bool [n, U].
    """

    flat: Tensor
    near: Tensor
    uniform: Tensor
    inside: Tensor

    def first(self, count: int | None) -> Fields:
        """The first `count` of them, or all."""
        return Fields(*(getattr(self, part.name)[:count] for part in fields(self)))


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union [n] of shapes, from whether points [n, U] lie inside of each.

    Two empty shapes have 1 in common.
    """
    both, either = (first & second).sum(-1), (first | second).sum(-1)
    return torch.where(either > 0, both / either.clamp_min(1), torch.ones(()))


def family_of(cfg: FieldZoo) -> Family:
    """The fields of a zoo: their architecture, widths and omega."""
    return Family.of_field(cfg.architecture, cfg.widths, cfg.omega)


def shape_name(instance: int) -> str:
    """What a shape is called everywhere: `shape-0012`; its field is `SIREN-0012`."""
    return f"shape-{instance:04d}"


def write_meshes(
    folder: Path, source: str | Path | None, instances: Instances, stream: Stream, where: str = ZOO
) -> pd.DataFrame:
    """Keep the meshes of a zoo's shapes as `<shape>.ply` in a folder.

    Args:
        folder: to write to.
        source: of `lib.data.shapes.unpack`; None for procedural chairs.
        instances: how many shapes there are.
        stream: that of the data.
        where: the zoo's block in the config, for messages.

    Returns:
        A row for each shape: what it is called, its split, the mesh it comes from, how that was
        repaired (`mended`), and its numbers of vertices and triangles.

    Raises:
        DataError: the source has fewer meshes that can be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, numbers = [], range(instances.total)
    meshes = shapes(source, numbers, stream, where)
    for instance, mesh in enumerate(track(meshes, "shapes", len(numbers))):
        name = shape_name(instance)
        write_mesh(folder / f"{name}.ply", mesh.vertices, mesh.faces)
        rows.append(
            {
                "shape": name,
                "split": split_of(instance, instances),
                "source": mesh.name,
                "mended": mesh.mended,
                "vertices": len(mesh.vertices),
                "triangles": len(mesh.faces),
            }
        )
    return pd.DataFrame(rows)


@torch.no_grad()
def fit_quality(
    family: Family, flat: torch.Tensor, samples: Samples, uniform: Samples
) -> dict[str, np.ndarray]:
    """How well fields [n, P] fit their shapes.

    Returns:
        `mse` of distances and `sign_accuracy` (share of points on the right side), both at the
        samples they were trained on, and `iou` of the inside at points evenly in the cube that
        they were not trained on; float64 [n] each.
    """
    found: dict[str, list] = {"mse": [], "sign_accuracy": [], "iou": []}
    for at in range(0, len(flat), BATCH):
        part = slice(at, at + BATCH)
        points, distances = (torch.from_numpy(values[part]) for values in samples[1:])
        outputs = family.run_each(flat[part], points)[..., 0]
        found["mse"].append((outputs - distances).double().square().mean(1))
        found["sign_accuracy"].append(((outputs < 0) == (distances < 0)).double().mean(1))
        points, distances = (torch.from_numpy(values[part]) for values in uniform[1:])
        outputs = family.run_each(flat[part], points)[..., 0]
        found["iou"].append(iou(outputs < 0, distances < 0).double())
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def extract(
    cfg: FieldZoo,
    trained: TrainedStack,
    samples: Samples,
    uniform: Samples,
    provenance: Mapping[str, Any],
) -> Shard:
    """Lay trained fields out as rows of one matrix, with how well each fits its shape."""
    family = family_of(cfg)
    flat = family.layout.flatten(trained.stack)
    frame = pd.DataFrame(trained.columns)
    names = [network_name(cfg.architecture, i) for i in frame["instance"]]
    frame.insert(0, "network", names)
    frame.insert(1, "architecture", cfg.architecture)
    frame.insert(3, "split", [split_of(i, cfg.instances) for i in frame["instance"]])
    frame.insert(4, "shape", samples.names)
    quality = fit_quality(family, flat, samples, uniform)
    arguments = {"widths": list(cfg.widths), "omega": cfg.omega}
    return Shard(
        cfg.architecture,
        family.layout.to_json(),
        flat.numpy(),
        frame.assign(**quality),
        {},
        dict(provenance) | trained.engine,
        arguments,
    )


def load(catalogue: Catalogue, family: Family, split: str, zoo: str) -> Population:
    """The healthy fields of a split of the zoo that the config calls `zoo`.

    Raises:
        PopulationError: there are none; all of them diverged.
    """
    frame = catalogue.select(family.architecture, split)
    if frame.empty:
        raise PopulationError(
            f"no {split} field is left, all have diverged; lower zoos.{zoo}.training.learning_rate"
        )
    return Population(family, frame, torch.from_numpy(catalogue.weights(frame)))


def with_points(
    fields: Population, samples: Sequence[Samples], uniform: Sequence[Samples]
) -> Fields:
    """Fields with the points that they are compared at.

    Args:
        fields: of some shapes.
        samples, uniform: files of samples that hold these shapes, among others.
    """
    near, even = _gather(fields, samples), _gather(fields, uniform)
    return Fields(
        fields.flat,
        torch.from_numpy(near.points),
        torch.from_numpy(even.points),
        torch.from_numpy(even.distances < 0),
    )


def _gather(fields: Population, files: Sequence[Samples]) -> Samples:
    """The samples of some fields' shapes, in their order, from several files."""
    rows = {name: (file, row) for file in files for row, name in enumerate(file.names)}
    wanted = [rows[name] for name in fields.frame["shape"]]
    points, distances = (
        np.stack([getattr(file, part)[row] for file, row in wanted])
        for part in ("points", "distances")
    )
    return Samples(fields.frame["shape"].tolist(), points, distances)

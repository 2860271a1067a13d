"""From trained fields to stored ones and back: measure, extract, load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from lib.config import Instances, Shapes
from lib.data.sdf import Samples
from lib.embed.arm import EmbedderError, Space
from lib.embed.shapes import Fields, iou
from lib.population import Population
from lib.store import Catalogue, Shard
from lib.training.loop import TrainedStack
from lib.zoo import network_name, split_of

BATCH = 64  # fields that are measured at once


def space_of(cfg: Shapes) -> Space:
    """The space of a study's fields."""
    return Space.of_field(cfg.architecture, cfg.widths, cfg.omega)


def shape_name(instance: int) -> str:
    """What a shape is called everywhere: `shape-0012`; its field is `SIREN-0012`."""
    return f"shape-{instance:04d}"


@torch.no_grad()
def fit_quality(
    space: Space, flat: torch.Tensor, samples: Samples, uniform: Samples
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
        outputs = space.run_each(flat[part], points)[..., 0]
        found["mse"].append((outputs - distances).double().square().mean(1))
        found["sign_accuracy"].append(((outputs < 0) == (distances < 0)).double().mean(1))
        points, distances = (torch.from_numpy(values[part]) for values in uniform[1:])
        outputs = space.run_each(flat[part], points)[..., 0]
        found["iou"].append(iou(outputs < 0, distances < 0).double())
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def extract(
    cfg: Shapes,
    trained: TrainedStack,
    instances: Instances,
    samples: Samples,
    uniform: Samples,
    provenance: Mapping[str, Any],
) -> Shard:
    """Lay trained fields out as rows of one matrix, with how well each fits its shape."""
    space = space_of(cfg)
    flat = space.layout.flatten(trained.stack)
    frame = pd.DataFrame(trained.columns)
    names = [network_name(cfg.architecture, i) for i in frame["instance"]]
    frame.insert(0, "network", names)
    frame.insert(1, "architecture", cfg.architecture)
    frame.insert(3, "split", [split_of(i, instances) for i in frame["instance"]])
    frame.insert(4, "shape", samples.names)
    quality = fit_quality(space, flat, samples, uniform)
    arguments = {"widths": list(cfg.widths), "omega": cfg.omega}
    return Shard(
        cfg.architecture,
        space.layout.to_json(),
        flat.numpy(),
        frame.assign(**quality),
        {},
        dict(provenance) | trained.engine,
        arguments,
    )


def load(catalogue: Catalogue, space: Space, split: str) -> Population:
    """The healthy fields of a split.

    Raises:
        EmbedderError: there are none; all of them diverged.
    """
    frame = catalogue.select(space.architecture, split)
    if frame.empty:
        raise EmbedderError(
            f"no {split} field is left, all have diverged; lower shapes.training.learning_rate"
        )
    return Population(space, frame, torch.from_numpy(catalogue.weights(frame)))


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

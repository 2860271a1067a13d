"""Shapes from a few hundred points on a part of their surface: completed by the space, or alone.

An observation is points with normals on the surface of an unseen shape, all on one side of a plane
through its middle. What is known of the distance near them is used as it is: `STEP` along the
normal it is `STEP`, against it `-STEP`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lib import nets
from lib.config import experiments as asked
from lib.config.zoos import FieldTraining, FieldZoo
from lib.core.checkpoint import of_job
from lib.core.progress import track
from lib.core.streams import Stream
from lib.embed.objectives.fields import field_loss
from lib.embed.product import Embedder
from lib.engine.descent import descend
from lib.engine.training.fields import train_fields
from lib.experiments.columns import FIELDS
from lib.experiments.fields.meshes import meshes, score_rows, surfaces, write
from lib.experiments.mesh_metrics import Surface
from lib.experiments.task import FieldTask, table
from lib.zoo.fields import family_of
from lib.zoo.population import Population

STEP = 0.02
FREE = 4000  # points of the cube that a field from scratch takes as empty
PRIOR = 1e-3  # weight of it in the loss


def run(task: FieldTask, cfg: asked.Completion) -> pd.DataFrame:
    """The table `completion.csv`: test shapes from a part of their surface, by one embedder.

    Methods: `decoded`, from the shape's own field, the most that the space can give; `completed`,
    see `complete`; `scratch`, see `from_scratch`.
    """
    train, test = task.zoo["train"], task.zoo["test"]
    embedder = next(iter(task.embedders.values()))
    (name,), arm = embedder.architectures, embedder.arm
    originals = surfaces(task.originals, test.frame["shape"][: cfg.shapes])
    with torch.no_grad():
        decoded = arm.decode(name, arm.encode(name, test.flat))
    fields = {"decoded": list(decoded[: cfg.shapes]), "completed": [], "scratch": []}
    for original in track(originals, "shapes"):
        stream = task.stream.of(original.name)
        seen = observe(original, cfg.points, stream)
        completed = complete(embedder, train, seen, cfg, task.space.truncation)
        fields["completed"].append(completed)
        fields["scratch"].append(from_scratch(task.field_zoo, task.training, seen, stream))
    made = {
        method: list(meshes(task.family, torch.stack(flat), task.space.resolution))
        for method, flat in fields.items()
    }
    for method, found in made.items():
        names = (f"{method}_{original.name}" for original in originals)
        write(task.meshes, dict(zip(names, found, strict=True)))
    rows = [row | {"points": cfg.points} for row in score_rows(made, originals)]
    return table(rows, FIELDS["completion"])


class Observation(NamedTuple):
    """Points near a part of a surface [M, 3] and the distances there [M]; the points on it [k, 3].

    Points on the surface itself are among the first, at distance 0.
    """

    points: np.ndarray
    distances: np.ndarray
    surface: np.ndarray


def observe(surface: Surface, count: int, stream: Stream) -> Observation:
    """`count` points on one side of a random plane through the middle of a shape."""
    rng = stream.numpy()
    way = rng.standard_normal(3)
    points, normals = surface.samples
    seen = np.flatnonzero((points - points.mean(0)) @ way > 0)
    chosen = rng.choice(seen, count, replace=len(seen) < count)
    points, normals = points[chosen], normals[chosen].astype(np.float32)
    steps = np.float32([0.0, STEP, -STEP])
    return Observation(
        np.concatenate([points + step * normals for step in steps]),
        np.repeat(steps, count),
        points,
    )


def complete(
    embedder: Embedder,
    train: Population,
    seen: Observation,
    cfg: asked.Completion,
    truncation: float,
) -> Tensor:
    """The field [P] decoded from the latent that fits an observation best.

    Adam starts at the training shape that fits best. The squared distance from the mean of the
    training latents, in their own principal components and spreads, is weighed in as a prior.

    Args:
        embedder: a trained one.
        train: training fields.
        seen: the observation.
        cfg: steps and learning rate.
        truncation: of the loss.
    """
    arm, (name,) = embedder.arm, embedder.architectures
    family = train.family
    points, distances = (torch.from_numpy(values) for values in seen[:2])

    def misfit(fields: Tensor) -> Tensor:
        outputs = family.run(fields, points)[..., 0]
        return torch.stack([field_loss(values, distances, truncation) for values in outputs])

    with torch.no_grad():
        known = arm.encode(name, train.flat)
        start = known[misfit(arm.decode(name, known)).argmin()].clone()
    mean = known.mean(0)
    _, spread, axes = torch.linalg.svd(known - mean, full_matrices=False)
    spread = (spread / max(len(known) - 1, 1) ** 0.5).clamp_min(1e-3 * spread[0])

    def loss(latent: Tensor, _: torch.Generator) -> Tensor:
        unlikely = ((latent - mean) @ axes.T / spread).square().mean()
        return misfit(arm.decode(name, latent[None]))[0] + PRIOR * unlikely

    def falling(optimizer: torch.optim.Optimizer) -> LambdaLR:
        return LambdaLR(optimizer, lambda step: 0.5 * (1 + np.cos(np.pi * step / cfg.steps)))

    latent = descend(
        start,
        loss,
        stream=Stream("completion"),  # nothing is drawn
        steps=cfg.steps,
        rate=cfg.rate,
        what="completing",
        schedule=falling,
    )
    with torch.no_grad():
        return arm.decode(name, latent[None])[0]


def from_scratch(
    zoo: FieldZoo, training: FieldTraining, seen: Observation, stream: Stream
) -> Tensor:
    """A field [P] trained on the observation alone, as the zoo trains one.

    What is nowhere near the observation is taken as empty: at points of the cube the distance is
    that to the nearest observed point.
    """
    from scipy.spatial import cKDTree

    free = torch.rand(FREE, 3, generator=stream.of("free").torch()).numpy() * 2 - 1
    away = cKDTree(seen.surface).query(free)[0].astype(np.float32)
    free, away = free[away > 2 * STEP], away[away > 2 * STEP]
    often = max(1, len(free) // (2 * len(seen.surface)))  # as many draws near as far
    points = np.concatenate([np.tile(seen.points, (often, 1)), free])[None]
    distances = np.concatenate([np.tile(seen.distances, often), away])[None]

    def build() -> torch.nn.Module:
        return nets.build_field(zoo.architecture, zoo.widths, zoo.omega)

    kept = of_job().part(torch.from_numpy(points))
    trained = train_fields(build, [stream], training, points, distances, checkpoint=kept)
    return family_of(zoo).layout.flatten(trained.stack)[0]

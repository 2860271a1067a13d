"""Shapes from a few hundred points on a part of their surface: completed by the space, or alone.

An observation is points with normals on the surface of an unseen shape, all on one side of a plane
through its middle. What is known of the distance near them is used as it is: `STEP` along the
normal it is `STEP`, against it `-STEP`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lib import nets
from lib.config import Shapes
from lib.core.checkpoint import of_job
from lib.core.repro import generator, seed_for
from lib.embed.product import Embedder
from lib.embed.shapes import field_loss
from lib.engine.descent import descend
from lib.engine.training.fields import train_fields
from lib.evaluate.mesh_metrics import Surface
from lib.zoo.fields import family_of
from lib.zoo.population import Population

STEP = 0.02
FREE = 4000  # points of the cube that a field from scratch takes as empty
PRIOR = 1e-3  # weight of it in the loss


class Observation(NamedTuple):
    """Points near a part of a surface [M, 3] and the distances there [M]; the points on it [k, 3].

    Points on the surface itself are among the first, at distance 0.
    """

    points: np.ndarray
    distances: np.ndarray
    surface: np.ndarray


def observe(surface: Surface, count: int, names: tuple) -> Observation:
    """`count` points on one side of a random plane through the middle of a shape."""
    rng = np.random.default_rng(seed_for(*names))
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


def complete(embedder: Embedder, cfg: Shapes, train: Population, seen: Observation) -> Tensor:
    """The field [P] decoded from the latent that fits an observation best.

    Adam starts at the training shape that fits best. The squared distance from the mean of the
    training latents, in their own principal components and spreads, is weighed in as a prior.

    Args:
        embedder: a trained one.
        cfg: truncation of the loss, steps and learning rate.
        train: training fields.
        seen: the observation.
    """
    arm, (name,) = embedder.arm, embedder.architectures
    family = train.family
    points, distances = (torch.from_numpy(values) for values in seen[:2])

    def misfit(fields: Tensor) -> Tensor:
        outputs = family.run(fields, points)[..., 0]
        return torch.stack([field_loss(own, distances, cfg.truncation) for own in outputs])

    with torch.no_grad():
        known = arm.encode(name, train.flat)
        latent = known[misfit(arm.decode(name, known)).argmin()].clone()
    mean = known.mean(0)
    _, spread, axes = torch.linalg.svd(known - mean, full_matrices=False)
    spread = (spread / max(len(known) - 1, 1) ** 0.5).clamp_min(1e-3 * spread[0])
    steps, rate = cfg.explore.completion_steps, cfg.explore.completion_rate

    def loss(latent: Tensor, _: torch.Generator) -> Tensor:
        unlikely = ((latent - mean) @ axes.T / spread).square().mean()
        return misfit(arm.decode(name, latent[None]))[0] + PRIOR * unlikely

    def falling(optimizer: torch.optim.Optimizer) -> LambdaLR:
        return LambdaLR(optimizer, lambda step: 0.5 * (1 + np.cos(np.pi * step / steps)))

    latent = descend(latent, ("completion",), steps, rate, loss, "completing", falling)
    with torch.no_grad():
        return arm.decode(name, latent[None])[0]


def from_scratch(cfg: Shapes, seen: Observation, names: tuple) -> Tensor:
    """A field [P] trained on the observation alone, as the zoo trains one.

    What is nowhere near the observation is taken as empty: at points of the cube the distance is
    that to the nearest observed point.
    """
    from scipy.spatial import cKDTree

    free = torch.rand(FREE, 3, generator=generator(*names, "free")).numpy() * 2 - 1
    away = cKDTree(seen.surface).query(free)[0].astype(np.float32)
    free, away = free[away > 2 * STEP], away[away > 2 * STEP]
    often = max(1, len(free) // (2 * len(seen.surface)))  # as many draws near as far
    points = np.concatenate([np.tile(seen.points, (often, 1)), free])[None]
    distances = np.concatenate([np.tile(seen.distances, often), away])[None]

    def build() -> torch.nn.Module:
        return nets.build_field(cfg.architecture, cfg.widths, cfg.omega)

    kept = of_job().part(torch.from_numpy(points))
    trained = train_fields(build, [names], cfg.training, points, distances, None, kept)
    return family_of(cfg).layout.flatten(trained.stack)[0]

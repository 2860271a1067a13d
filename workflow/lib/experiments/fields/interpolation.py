"""Walks from one test shape to another, in the latent space and in the weights, mesh by mesh."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pandas as pd
import torch
from torch import Tensor

from lib.config import experiments as asked
from lib.core.progress import track
from lib.embed.between import mix
from lib.embed.product import Embedder
from lib.experiments.columns import FIELDS
from lib.experiments.fields.meshes import Known, meshes, surfaces, write
from lib.experiments.task import FieldTask, Row, table
from lib.zoo.population import Population


def run(task: FieldTask, cfg: asked.FieldInterpolation) -> pd.DataFrame:
    """The table `interpolation.csv`: shapes on the ways between test shapes, by one embedder."""
    known = Known(surfaces(task.originals, task.zoo["train"].frame["shape"]))
    embedder = next(iter(task.embedders.values()))
    rows, flat = zip(*walks(embedder, cfg, task.zoo["test"]), strict=True)
    making = meshes(task.family, torch.stack(flat), task.space.resolution)
    made = list(track(making, "meshes", len(rows)))
    for row, mesh in track(list(zip(rows, made, strict=True)), "neighbours"):
        row["mesh"] = f"pair{row['pair']}_{row['method']}_{row['point']:02d}"
        row |= known.describe(mesh, row["mesh"])
    write(task.meshes, {row["mesh"]: mesh for row, mesh in zip(rows, made, strict=True)})
    return table(rows, FIELDS["interpolation"])


def pairs_of(latents: Tensor, count: int) -> list[tuple[int, int]]:
    """Pairs of test shapes to walk between, no shape in two: those furthest apart first.

    Args:
        latents: of the test shapes [n, D].
        count: how many pairs, at most n // 2.
    """
    far = torch.cdist(latents, latents)
    order = sorted(combinations(range(len(latents)), 2), key=lambda pair: -far[pair].item())
    pairs: list[tuple[int, int]] = []
    for pair in order:
        if len(pairs) < count and not {*pair} & {i for other in pairs for i in other}:
            pairs.append(pair)
    return pairs


@torch.no_grad()
def walks(
    embedder: Embedder, cfg: asked.FieldInterpolation, test: Population
) -> Iterator[tuple[Row, Tensor]]:
    """Fields [P] on the ways between pairs of test shapes, each with what it is.

    `latent`: decoded from the points between the latents, the ends included; `weights`: the points
    between the weights themselves, whose ends are the shapes' own fields.
    """
    (name,) = embedder.architectures
    latents = embedder.arm.encode(name, test.flat)
    for number, (i, j) in enumerate(pairs_of(latents, cfg.pairs)):
        for point in range(cfg.points):
            gamma = point / (cfg.points - 1)
            ends = {"first": test.frame["shape"][i], "last": test.frame["shape"][j]}
            row = {"pair": number, **ends, "point": point, "gamma": gamma}
            between = mix(latents[i], latents[j], gamma)
            yield row | {"method": "latent"}, embedder.arm.decode(name, between[None])[0]
            yield row | {"method": "weights"}, mix(test.flat[i], test.flat[j], gamma)

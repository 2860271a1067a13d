"""New shapes, drawn from the latent space, and how near each is to a training shape."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from lib.config import experiments as asked
from lib.core.progress import track
from lib.core.streams import Stream
from lib.data.meshes import read_mesh
from lib.data.meshing import Meshed
from lib.embed.product import Embedder
from lib.experiments.columns import FIELDS
from lib.experiments.fields.meshes import Known, meshes, surfaces, write
from lib.experiments.task import FieldTask, Row, table
from lib.zoo.population import Population

VARIANCE = 0.95  # of the training latents, that new latents are drawn in


def run(task: FieldTask, cfg: asked.FieldSampling) -> pd.DataFrame:
    """The table `sampling.csv`: the shapes of `samples`, by one embedder, and real ones beside.

    Method `unseen`: as many test shapes, which nobody has seen; how near are they to the training
    shapes?
    """
    train, rows = task.zoo["train"], list[Row]()
    known = Known(surfaces(task.originals, train.frame["shape"]))
    embedder = next(iter(task.embedders.values()))
    drawn = samples(embedder, train, cfg.samples, task.stream)
    made = {
        method: list(meshes(task.family, flat, task.space.resolution))
        for method, flat in drawn.items()
    }
    unseen = task.zoo["test"].frame["shape"][: cfg.samples]
    made["unseen"] = [Meshed(*read_mesh(task.originals / f"{name}.ply"), 0) for name in unseen]
    for method, found in made.items():
        named = {f"{method}_{number:03d}": mesh for number, mesh in enumerate(found)}
        write(task.meshes, named)
        for name, mesh in track(named.items(), method):
            rows.append({"method": method, "mesh": name} | known.describe(mesh, name))
    return table(rows, FIELDS["sampling"])


@torch.no_grad()
def samples(embedder: Embedder, train: Population, count: int, stream: Stream) -> dict[str, Tensor]:
    """New fields [n, P], by how they were drawn.

    `latent`: decoded from a normal distribution in the principal components of the training
    latents that hold `VARIANCE` of their variance; `weights`: from a normal distribution in those
    of the training weights, as a control.

    Args:
        embedder: a trained one.
        train: training fields.
        count: how many of each.
        stream: what is drawn from.
    """
    (name,) = embedder.architectures
    latents = embedder.arm.encode(name, train.flat)
    rng = stream.torch()
    drawn = _normal(latents, count, rng)
    return {
        "latent": embedder.arm.decode(name, drawn),
        "weights": _normal(train.flat, count, rng),
    }


def _normal(known: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Draws [count, D] from the normal distribution of known points [n, D], in few directions."""
    mean = known.mean(0)
    _, spread, axes = torch.linalg.svd((known - mean).double(), full_matrices=False)
    share = spread.square().cumsum(0) / spread.square().sum()
    few = int((share < VARIANCE).sum()) + 1
    way = torch.randn(count, few, generator=rng, dtype=torch.float64) * spread[:few]
    return mean + (way @ axes[:few] / max(len(known) - 1, 1) ** 0.5).to(known.dtype)

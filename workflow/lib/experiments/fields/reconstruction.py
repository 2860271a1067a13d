"""Test shapes after encoding and decoding, as meshes against their originals, with the controls."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from lib.config import experiments as asked
from lib.core.progress import log, track
from lib.embed.product import Embedder
from lib.experiments.columns import FIELDS
from lib.experiments.fields.meshes import meshes, score_rows, surfaces, write
from lib.experiments.task import FieldTask, Row, table
from lib.zoo.population import Population


def run(task: FieldTask, cfg: asked.FieldReconstruction) -> pd.DataFrame:
    """The table `reconstruction.csv`: every method of `stand_ins`, for each test shape.

    The meshes of the first embedder are written into a folder for each method.
    """
    test = task.zoo["test"]
    names, rows = test.frame["shape"].tolist(), list[Row]()
    originals = surfaces(task.originals, names)
    for number, (seed, embedder) in enumerate(task.embedders.items()):
        made = {
            method: list(track(meshes(task.family, flat, task.space.resolution), method, len(flat)))
            for method, flat in stand_ins(embedder, task.zoo["train"], test).items()
        }
        beside = {"embedder": embedder.arm.cfg.arm, "seed": seed}
        rows += [row | beside for row in score_rows(made, originals)]
        if number == 0:
            for method, found in made.items():
                write(task.meshes / method, dict(zip(names, found, strict=True)))
    frame = table(rows, FIELDS["reconstruction"])
    for method, iou in frame.groupby("method")["iou"].mean().items():
        log.info("%s: mean IoU %.3f", method, iou)
    return frame


@torch.no_grad()
def stand_ins(embedder: Embedder, train: Population, test: Population) -> dict[str, Tensor]:
    """Fields [n, P] that stand for each test shape, by method.

    `siren`: its own field, the best that can be; `decoded`: what comes back from its latent;
    `nearest`: the field of the training shape of the nearest latent; `mean`: the mean of the
    weights of all training fields, the same for every shape.
    """
    arm, (name,) = embedder.arm, embedder.architectures
    latents, known = arm.encode(name, test.flat), arm.encode(name, train.flat)
    return {
        "siren": test.flat,
        "decoded": arm.decode(name, latents),
        "nearest": train.flat[torch.cdist(latents, known).argmin(1)],
        "mean": train.flat.mean(0).expand_as(test.flat),
    }

"""Generated networks trained further, against networks trained from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from lib import nets
from lib.config import Training, Unseen
from lib.core.checkpoint import of_job
from lib.data.images import ImageSplit
from lib.embed.multiarch import between, mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.engine.family import Family
from lib.engine.training import Engine, train
from lib.evaluate.further import continued, shortened
from lib.evaluate.unseen import label
from lib.nets.fuse import bn_pairs, fuse_state
from lib.zoo.population import Population

COLUMNS = (
    "left_out",
    "architecture",
    "method",
    "epochs",
    "network",
    "train_accuracy",
    "accuracy",
    "seed",
)
Zoo = Mapping[str, Population]


def from_scratch(
    family: Family,
    cfg: Unseen,
    training: Training,
    seed: int,
    images: ImageSplit,
    validation: ImageSplit,
    engine: Engine,
) -> dict[int, Tensor]:
    """Networks [n, P] by epochs, trained as a zoo is, batch norm and all, and then fused.

    They start from the same initialisations, whatever the epochs.
    """

    def build() -> torch.nn.Module:
        channels, size = images.x.shape[1:3]
        return nets.build(family.architecture, channels, size, len(images.classes))

    names = [("unseen", seed, family.architecture, "scratch", i) for i in range(cfg.finetuned)]
    module, found = build(), {}
    for epochs in cfg.scratch_epochs:
        cut, kept = shortened(training, epochs), of_job().part(torch.tensor(epochs))
        made = train(build, names, cut, images, validation, engine, kept)
        fused = fuse_state(made.stack, bn_pairs(module), module)
        found[epochs] = family.layout.flatten(fused)
    return found


def finetuned_rows(
    embedder: Embedder,
    left_out: Sequence[str],
    seed: int,
    cfg: Unseen,
    training: Training,
    zoo: Zoo,
    images: ImageSplit,
    test: ImageSplit,
    engine: Engine,
) -> list[tuple]:
    """Rows of generated networks as they are and after one epoch.

    They come from pairs of test networks of the extremes with the same place in their lists, so
    that no two share a network, and are decoded as the left-out architecture.
    """
    names, rows = list(embedder.architectures), []
    cfg_training = shortened(training, 1, learning_rate=cfg.finetune_rate, schedule="constant")
    first, last = zoo[names[0]], zoo[names[-1]]
    count = min(cfg.finetuned, len(first.flat), len(last.flat))
    pairs = [f"{a}:{b}" for a, b in zip(first.names[:count], last.names[:count], strict=True)]
    for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
        if name not in left_out:
            continue
        family = embedder.arm.families[name]
        with torch.no_grad():
            ends = [embedder.arm.encode(end.family.architecture, end.flat) for end in (first, last)]
            flat = embedder.arm.decode(name, mix(ends[0][:count], ends[1][:count], gamma))
        streams = ("unseen", seed, label(left_out), name, "finetune")
        tuned = continued(family, flat, cfg_training, streams, images, engine)[1]
        for method, epochs, networks in (("generated", 0, flat), ("finetuned", 1, tuned)):
            rows += _rows(left_out, family, method, epochs, pairs, networks, (images, test), seed)
    return rows


def scratch_rows(
    left_out: Sequence[str],
    seed: int,
    scratch: Mapping[str, Mapping[int, Tensor]],
    families: Mapping[str, Family],
    images: ImageSplit,
    test: ImageSplit,
) -> list[tuple]:
    """Rows of networks trained from scratch: by architecture and epochs, [n, P]."""
    return [
        row
        for name in left_out
        for epochs, flat in scratch[name].items()
        for row in _rows(
            left_out,
            families[name],
            "scratch",
            epochs,
            [f"scratch-{i}" for i in range(len(flat))],
            flat,
            (images, test),
            seed,
        )
    ]


def table(rows: list[tuple]) -> pd.DataFrame:
    """The rows as the table `unseen_finetune.csv`."""
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    left_out: Sequence[str],
    family: Family,
    method: str,
    epochs: int,
    names: Sequence[str],
    flat: Tensor,
    images: tuple[ImageSplit, ImageSplit],
    seed: int,
) -> list[tuple]:
    accuracies = [ensemble.accuracy(family.predict(flat, of.x), of.y).tolist() for of in images]
    return [
        (label(left_out), family.architecture, method, epochs, name, *found, seed)
        for name, *found in zip(names, *accuracies, strict=True)
    ]

"""Generated networks trained further, against networks trained from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from lib import nets
from lib.config.experiments import UnseenFinetune
from lib.core.checkpoint import of_job
from lib.embed.between import between, mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.engine.training import train
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.further import continued, shortened
from lib.experiments.task import Row, Task, table
from lib.experiments.unseen import label
from lib.nets.fuse import bn_pairs, fuse_state


def run(task: Task, cfg: UnseenFinetune) -> pd.DataFrame:
    """The table `unseen_finetune.csv`: networks never seen, as they are and trained further."""
    rows, scratch = [], {}
    for name in sorted({name for left_out in task.unseen for name in left_out}):
        scratch[name] = from_scratch(task, cfg, name)
    for left_out, embedders in task.unseen.items():
        for seed, embedder in embedders.items():
            rows += finetuned(task, cfg, embedder, seed, left_out)
        rows += scratch_rows(task, left_out, scratch)
    return table(rows, CLASSIFIERS["unseen_finetune"])


def from_scratch(task: Task, cfg: UnseenFinetune, name: str) -> dict[int, Tensor]:
    """Networks [n, P] by epochs, trained as the zoo is, batch norm and all, and then fused.

    They start from the same initialisations, whatever the epochs.
    """
    images, family = task.images["train"], task.zoo["test"][name].family

    def build() -> torch.nn.Module:
        channels, size = images.x.shape[1:3]
        return nets.build(name, channels, size, len(images.classes))

    streams = [task.stream.of(name, "scratch", i) for i in range(cfg.finetuned)]
    module, found = build(), {}
    for epochs in cfg.scratch_epochs:
        made = train(
            build,
            streams,
            shortened(task.training, epochs),
            images,
            task.images["validation"],
            engine=task.engine,
            checkpoint=of_job().part(torch.tensor(epochs)),
        )
        found[epochs] = family.layout.flatten(fuse_state(made.stack, bn_pairs(module), module))
    return found


def finetuned(
    task: Task, cfg: UnseenFinetune, embedder: Embedder, seed: int, left_out: Sequence[str]
) -> list[Row]:
    """Rows of generated networks as they are and after one epoch.

    They come from pairs of test networks of the extremes with the same place in their lists, so
    that no two share a network, and are decoded as the left-out architecture.
    """
    arm, names, rows = embedder.arm, list(embedder.architectures), []
    training = shortened(task.training, 1, learning_rate=cfg.rate, schedule="constant")
    first, last = task.zoo["test"][names[0]], task.zoo["test"][names[-1]]
    count = min(cfg.finetuned, len(first.flat), len(last.flat))
    pairs = [f"{a}:{b}" for a, b in zip(first.names[:count], last.names[:count], strict=True)]
    with torch.no_grad():
        ends = [arm.encode(end.family.architecture, end.flat)[:count] for end in (first, last)]
    for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
        if name not in left_out:
            continue
        with torch.no_grad():
            flat = arm.decode(name, mix(*ends, gamma))
        stream = task.stream.of(label(left_out), name, "finetune", seed)
        family, images = arm.families[name], task.images["train"]
        tuned = continued(family, flat, training, stream, images, task.engine)[1]
        for method, epochs, networks in (("generated", 0, flat), ("finetuned", 1, tuned)):
            shared = {"method": method, "epochs": epochs, "seed": seed}
            rows += _rows(task, left_out, name, shared, dict(zip(pairs, networks, strict=True)))
    return rows


def scratch_rows(
    task: Task, left_out: Sequence[str], scratch: Mapping[str, Mapping[int, Tensor]]
) -> list[Row]:
    """Rows of networks trained from scratch: by architecture and epochs, [n, P]."""
    rows = []
    for name in left_out:
        for epochs, flat in scratch[name].items():
            shared = {"method": "scratch", "epochs": epochs, "seed": task.seed}
            numbered = {f"scratch-{i}": one for i, one in enumerate(flat)}
            rows += _rows(task, left_out, name, shared, numbered)
    return rows


def _rows(
    task: Task, left_out: Sequence[str], name: str, shared: Row, networks: Mapping[str, Tensor]
) -> list[Row]:
    """Rows of networks [P] of one architecture, by what they are called."""
    flat, found = torch.stack(list(networks.values())), {"network": list(networks)}
    for column, split in (("train_accuracy", "train"), ("accuracy", "test")):
        images = task.images[split]
        outputs = task.zoo["test"][name].family.predict(flat, images.x)
        found[column] = ensemble.accuracy(outputs, images.y).tolist()
    whole = {"left_out": label(left_out), "architecture": name} | shared
    return pd.DataFrame(whole | found).to_dict("records")

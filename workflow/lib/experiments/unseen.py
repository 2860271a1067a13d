"""Architectures an embedder never saw: what it generates between the extremes, and controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from lib.config.embedding import Embedding
from lib.config.experiments import Unseen
from lib.core.streams import Stream
from lib.embed import losses
from lib.embed.batches import noisy_images
from lib.embed.between import between, mix
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder
from lib.embed.trainer import pace
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.controls import distill
from lib.experiments.decoding import run_predicted
from lib.experiments.task import Row, Task, table


def run(task: Task, cfg: Unseen) -> pd.DataFrame:
    """The table `unseen.csv`: one row for each generated network, and for each control."""
    rows, made = [], {}
    for name in sorted({name for left_out in task.unseen for name in left_out}):
        made[name] = controls_of(task, cfg, name)
    for left_out, embedders in task.unseen.items():
        for seed, embedder in embedders.items():
            rows += generated(task, embedder, seed, left_out)
        for seed, embedder in task.embedders.items():
            rows += generated(task, embedder, seed, left_out, "all_four")
        rows += control_rows(task, left_out, made)
    return table(rows, CLASSIFIERS["unseen"])


def label(left_out: Sequence[str]) -> str:
    """What a set of left-out architectures is called in tables and paths."""
    return "+".join(left_out)


def agreement_among(answers: Tensor) -> Tensor:
    """Mean share of images [n] on which a network answers as the others, of answers [n, images].

    1 for one network alone: it stands for a constant one.
    """
    if len(answers) < 2:
        return torch.ones(len(answers))
    counts = torch.nn.functional.one_hot(answers).sum(0)  # [images, classes]
    same = counts.gather(1, answers.T).T - 1
    return same.double().mean(1) / (len(answers) - 1)


@torch.no_grad()
def generated(
    task: Task,
    embedder: Embedder,
    seed: int,
    left_out: Sequence[str],
    method: str = "generated",
) -> list[Row]:
    """Rows of the left-out architectures as decoded where they are due, over all pairs.

    A latent is decoded, and run, as the architecture that is predicted for it. With method
    `generated` there is also one row of `constant`: the decoder where the mean latents of the
    extremes' training networks lead.

    Args:
        task: what the experiment is given.
        embedder: with `left_out` unseen or, as the control `all_four`, seen.
        seed: of the embedder.
        left_out: the architectures looked at.
        method: name of the rows.
    """
    arm, names, rows = embedder.arm, list(embedder.architectures), []
    extremes, images = (names[0], names[-1]), task.images["test"]
    train, test = task.zoo["train"], task.zoo["test"]
    pairs = [":".join(pair) for pair in product(*(test[end].names for end in extremes))]
    first, last = (arm.encode(end, test[end].flat) for end in extremes)
    means = [arm.encode(end, train[end].flat).mean(0, keepdim=True) for end in extremes]
    for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
        if name not in left_out:
            continue
        latents = {method: (pairs, mix(first[:, None], last[None], gamma).flatten(0, 1))}
        if method == "generated":
            latents["constant"] = ["mean"], mix(*means, gamma)
        for kind, (networks, points) in latents.items():
            classes, outputs = run_predicted(arm, points, images.x)
            shared = _shared(left_out, name, kind, seed) | {"gamma": gamma}
            rows += _rows(shared, networks, outputs, images.y, classes)
    return rows


def control_rows(
    task: Task, left_out: Sequence[str], made: Mapping[str, Mapping[str, Tensor]]
) -> list[Row]:
    """Rows of the networks that no latent space made: trained, initialised, distilled.

    Args:
        task: what the experiment is given.
        left_out: the architectures looked at.
        made: networks [n, P] by architecture and method.
    """
    rows, images = [], task.images["test"]
    for name in left_out:
        population = task.zoo["test"][name]
        for method, flat in {"trained": population.flat, **made[name]}.items():
            outputs = population.family.predict(flat, images.x)
            numbered = [f"{method}-{i}" for i in range(len(flat))]
            networks = population.names if method == "trained" else numbered
            shared = _shared(left_out, name, method, task.seed)
            rows += _rows(shared, networks, outputs, images.y, [name] * len(flat))
    return rows


def controls_of(task: Task, cfg: Unseen, name: str) -> dict[str, Tensor]:
    """Networks of one architecture that are new but come from no latent space: [n, P] by method.

    `initialised`: as initialised, batch norm fused. `distilled`: trained from there by what pulls
    a decoded network where its architecture is due (teacher and labels), on the same kind of
    images, in as many steps, at a rate that falls in the same way.
    """
    images, stream = task.images["train"], task.stream.of(name)
    embedding: Embedding = next(iter(task.embedders.values())).arm.cfg
    size, weights = embedding.clean, embedding.weights

    def loss(run, rng):
        x, chosen = noisy_images(images, embedding, rng)
        outputs, chosen = run(x[:size]), chosen[:size]
        pull = losses.distillation(outputs, task.teacher[chosen], embedding.temperature)
        known = losses.labels(outputs, images.y[chosen])
        return weights.interpolation_teacher * pull + weights.label * known

    def fresh(method: str, count: int, calibrated: bool = False) -> tuple[Tensor, Stream]:
        own = stream.of(method)
        return fresh_networks(name, images, count, own, calibrated=calibrated), own

    start, own = fresh("distilled", cfg.distilled, calibrated=True)
    return {
        "initialised": fresh("initialised", cfg.fresh)[0],
        "distilled": distill(
            task.zoo["test"][name].family,
            start,
            loss,
            stream=own,
            steps=embedding.steps,
            rate=task.controls.distill_rate,
            pace=lambda step: pace(embedding, step),
        ),
    }


def _shared(left_out: Sequence[str], name: str, method: str, seed: int) -> Row:
    """Columns that the networks of one method share."""
    return {"left_out": label(left_out), "architecture": name, "method": method, "seed": seed}


def _rows(
    shared: Row,
    networks: Sequence[str],
    outputs: Tensor,
    labels: Tensor,
    classes: Sequence[str],
) -> list[Row]:
    answers = outputs.argmax(-1)
    accuracies = (answers == labels).double().mean(1).tolist()
    others = agreement_among(answers).tolist()
    columns = ("pair", "predicted_architecture", "accuracy", "agreement_other")
    found = zip(networks, classes, accuracies, others, strict=True)
    return [shared | dict(zip(columns, values, strict=True)) for values in found]

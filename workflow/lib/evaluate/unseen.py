"""Architectures an embedder never saw: what it generates between the extremes, and controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from lib.config import Controls, Embedding, Unseen
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import Arm
from lib.embed.fresh import fresh_networks
from lib.embed.multiarch import between, mix, noisy_images
from lib.embed.product import Embedder
from lib.embed.trainer import pace
from lib.engine.family import Family
from lib.evaluate.controls import distill
from lib.zoo.population import Population

COLUMNS = (
    "left_out",
    "pair",
    "gamma",
    "architecture",
    "predicted_architecture",
    "accuracy",
    "method",
    "seed",
    "agreement_other",
)
Zoo = Mapping[str, Population]


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
def generated_rows(
    embedder: Embedder,
    left_out: Sequence[str],
    seed: int,
    zoo: Mapping[str, Zoo],
    images: ImageSplit,
    method: str = "generated",
) -> list[tuple]:
    """Rows of the left-out architectures as decoded where they are due, over all pairs.

    A latent is decoded, and run, as the architecture that is predicted for it. With method
    `generated` there is also one row of `constant`: the decoder where the mean latents of the
    extremes' training networks lead.

    Args:
        embedder: with `left_out` unseen or, as the control `all_four`, seen.
        left_out: the architectures looked at.
        seed: of the embedder.
        zoo: by split, networks of at least the two extremes.
        images: test images.
        method: name of the rows.
    """
    arm, names, rows = embedder.arm, list(embedder.architectures), []
    extremes = names[0], names[-1]
    pairs = [":".join(pair) for pair in product(*(zoo["test"][end].names for end in extremes))]
    first, last = (arm.encode(end, zoo["test"][end].flat) for end in extremes)
    means = [arm.encode(end, zoo["train"][end].flat).mean(0, keepdim=True) for end in extremes]
    for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
        if name not in left_out:
            continue
        latents = mix(first[:, None], last[None], gamma).flatten(0, 1)
        found = _run(arm, latents, images)
        rows += _rows(left_out, name, gamma, pairs, method, seed, *found)
        if method == "generated":
            found = _run(arm, mix(*means, gamma), images)
            rows += _rows(left_out, name, gamma, ["mean"], "constant", seed, *found)
    return rows


def control_rows(
    left_out: Sequence[str],
    seed: int,
    controls: Mapping[str, Mapping[str, Tensor]],
    zoo: Zoo,
    images: ImageSplit,
) -> list[tuple]:
    """Rows of the networks that no latent space made: trained, initialised, distilled.

    Args:
        left_out: the architectures looked at.
        seed: study seed.
        controls: by architecture and method, networks [n, P].
        zoo: test networks.
        images: test images.
    """
    rows = []
    for name in left_out:
        population = zoo[name]
        for method, flat in {"trained": population.flat, **controls[name]}.items():
            answers = population.family.predict(flat, images.x).argmax(-1)
            known = population.names if method == "trained" else _numbered(method, len(flat))
            rows += _rows(
                left_out, name, None, known, method, seed, answers, [name] * len(flat), images.y
            )
    return rows


def controls_of(
    family: Family,
    cfg: Unseen,
    control: Controls,
    embedding: Embedding,
    seed: int,
    images: ImageSplit,
    teacher: Tensor,
) -> dict[str, Tensor]:
    """Networks of one architecture that are new but come from no latent space: [n, P] by method.

    `initialised`: as initialised, batch norm fused. `distilled`: trained from there by what pulls
    a decoded network where its architecture is due (teacher and labels), on the same kind of
    images, in as many steps, at a rate that falls in the same way.
    """
    name, size = family.architecture, embedding.clean
    names = ("unseen", seed, name)

    def loss(run, rng):
        x, chosen = noisy_images(images, embedding, rng)
        outputs, chosen = run(x[:size]), chosen[:size]
        pull = losses.distillation(outputs, teacher[chosen], embedding.temperature)
        weights = embedding.weights
        return weights.interpolation_teacher * pull + weights.label * losses.labels(
            outputs, images.y[chosen]
        )

    return {
        "initialised": fresh_networks(name, images, cfg.fresh, (*names, "initialised")),
        "distilled": distill(
            family,
            fresh_networks(name, images, cfg.distilled, (*names, "distilled"), calibrated=True),
            (*names, "distilled"),
            embedding.steps,
            control.distill_rate,
            loss,
            pace=lambda step: pace(embedding, step),
        ),
    }


def table(rows: list[tuple]) -> pd.DataFrame:
    """The rows as the table `unseen.csv`."""
    return pd.DataFrame(rows, columns=COLUMNS)


def _run(arm: Arm, latents: Tensor, images: ImageSplit) -> tuple[Tensor, list[str], Tensor]:
    """Answers [n, images] of latents [n, D], each decoded as the architecture it stands for."""
    names = list(arm.families)
    classes = arm.classify(latents).argmax(-1)
    answers = torch.empty(len(latents), len(images.y), dtype=torch.int64, device=latents.device)
    for k in classes.unique().tolist():
        these = classes == k
        flat = arm.decode(names[k], latents[these])
        answers[these] = arm.families[names[k]].predict(flat, images.x).argmax(-1)
    return answers, [names[k] for k in classes.tolist()], images.y


def _rows(
    left_out: Sequence[str],
    name: str,
    gamma: float | None,
    pairs: Sequence[str],
    method: str,
    seed: int,
    answers: Tensor,
    predicted: Sequence[str],
    labels: Tensor,
) -> list[tuple]:
    accuracies = (answers == labels).double().mean(1).tolist()
    others = agreement_among(answers).tolist()
    return [
        (label(left_out), pair, gamma, name, found, accuracy, method, seed, other)
        for pair, found, accuracy, other in zip(pairs, predicted, accuracies, others, strict=True)
    ]


def _numbered(method: str, count: int) -> list[str]:
    return [f"{method}-{i}" for i in range(count)]

"""How well held-out networks come back from their latents, beside what needs no latent."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor

from lib.config import Controls, Embedding
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.fresh import fresh_networks
from lib.embed.multiarch import noisy_images
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.evaluate import controls
from lib.zoo.population import Population

COLUMNS = (
    "network",
    "architecture",
    "method",
    "predicted_architecture",
    "target_accuracy",
    "accuracy",
    "agreement",
    "agreement_other",
    "embedder",
    "seed",
)
Zoo = Mapping[str, Population]


def agreement_other(outputs: Tensor, targets: Tensor, labels: Tensor, band: int) -> Tensor:
    """Mean agreement [n] with the targets of other networks of about the same accuracy.

    For network i these are the `band` targets, i left out, whose accuracies are nearest to that of
    target i. Both `outputs` and `targets` are logits [n, images, K].
    """
    count = len(targets)
    if count < 2:
        return torch.full((count,), torch.nan)
    scores = ensemble.accuracy(targets, labels)
    distance = (scores[:, None] - scores[None]).abs()
    distance.fill_diagonal_(torch.inf)
    others = distance.argsort(dim=1, stable=True)[:, : min(band, count - 1)]
    return torch.stack(
        [ensemble.agreement(outputs[i], targets[others[i]]).mean() for i in range(count)]
    )


def rows(
    population: Population,
    targets: Tensor,
    outputs: Tensor,
    images: ImageSplit,
    band: int,
    method: str,
    predicted: list[str] | None = None,
    embedder: str = "none",
    seed: int = 0,
) -> list[tuple]:
    """Rows of the table for one method: `targets` and `outputs` are logits [n, images, K]."""
    count, name = len(targets), population.family.architecture
    values = (
        ensemble.accuracy(targets, images.y),
        ensemble.accuracy(outputs, images.y),
        ensemble.agreement(outputs, targets),
        agreement_other(outputs, targets, images.y, band),
    )
    return list(
        zip(
            population.names,
            [name] * count,
            [method] * count,
            predicted or [name] * count,
            *(value.tolist() for value in values),
            [embedder] * count,
            [seed] * count,
            strict=True,
        )
    )


def decoded_rows(
    embedder: Embedder, seed: int, train: Zoo, test: Zoo, images: ImageSplit, band: int
) -> list[tuple]:
    """Rows of the decoded networks, and of the decoder at the mean latent of each architecture."""
    arm, names, found = embedder.arm, list(embedder.architectures), []
    label = arm.cfg.arm
    for name, population in test.items():
        targets = population.outputs(images)
        with torch.no_grad():
            latents = arm.encode(name, population.flat)
            mean = arm.encode(name, train[name].flat).mean(0, keepdim=True)
            classes = arm.classify(latents).argmax(-1).tolist()
        outputs = torch.empty_like(targets)
        for k in sorted(set(classes)):
            these = torch.tensor([c == k for c in classes])
            with torch.no_grad():
                flat = arm.decode(names[k], latents[these])
            outputs[these] = test[names[k]].family.predict(flat, images.x)
        found += rows(
            population,
            targets,
            outputs,
            images,
            band,
            "decoded",
            [names[k] for k in classes],
            label,
            seed,
        )
        with torch.no_grad():
            flat = arm.decode(name, mean)
        outputs = population.family.predict(flat, images.x).expand_as(targets)
        found += rows(population, targets, outputs, images, band, "mean_latent", None, label, seed)
    return found


def control_rows(
    cfg: Controls,
    seed: int,
    embedding: Embedding,
    train: Zoo,
    test: Zoo,
    known: ImageSplit,
    images: ImageSplit,
) -> list[tuple]:
    """Rows of every control that knows the training networks, or the target's outputs alone.

    Args:
        cfg: settings of the controls.
        seed: study seed.
        embedding: settings of the embedder. Distillation from scratch takes as many gradient
            steps per network as the embedder took for each of its training networks, with the
            same kind of images and loss.
        train: training networks.
        test: test networks.
        known: training images.
        images: test images.
    """
    found, zoo = [], sum(len(trained.flat) for trained in train.values())
    for name, population in test.items():
        trained, family = train[name], population.family
        targets, count = population.outputs(images), len(population.flat)
        names = ("control", seed, name)
        steps = math.ceil(embedding.visits(len(trained.flat), zoo))

        def own(run, rng, flat=population.flat, family=family):
            x, _ = noisy_images(known, embedding, rng)
            with torch.no_grad():
                wanted = family.run(flat, x)
            return losses.distillation(run(x), wanted, embedding.temperature)

        flats = {
            "constant": trained.best().expand(count, -1),
            "nearest_weights": controls.nearest_weights(trained, population.flat),
            "nearest_agreement": controls.nearest_agreement(
                trained, trained.outputs(known), population.outputs(known)
            ),
            "noise": controls.noisy(trained, count, cfg.noise, names),
            "mean_weights": trained.flat.mean(0).expand(count, -1),
            "distilled": controls.distill(
                family,
                fresh_networks(name, known, count, (*names, "distilled")),
                (*names, "distilled"),
                steps,
                cfg.distill_rate,
                own,
            ),
        }
        for method, flat in flats.items():
            outputs = family.predict(flat, images.x)
            found += rows(population, targets, outputs, images, cfg.band, method, seed=seed)
    return found


def table(found: list[tuple]) -> pd.DataFrame:
    """The rows as the table `reconstruction.csv`."""
    return pd.DataFrame(found, columns=COLUMNS)

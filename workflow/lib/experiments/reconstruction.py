"""How well held-out networks come back from their latents, beside what needs no latent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.config.embedding import Embedding
from lib.config.experiments import Reconstruction
from lib.config.spaces import Controls
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.arm import EmbedderError
from lib.embed.batches import noisy_images
from lib.embed.fresh import fresh_networks
from lib.embed.losses import own_loss
from lib.embed.product import Embedder
from lib.embed.refine import Run, refine
from lib.engine import ensemble
from lib.experiments import controls
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.decoding import run_predicted
from lib.experiments.task import Row, Task, table
from lib.zoo.population import Population


def run(task: Task, cfg: Reconstruction) -> pd.DataFrame:
    """The table `reconstruction.csv`: one row for each test network, method and embedder.

    Methods: `decoded`, the networks decoded from the latents of test networks; `mean_latent`, that
    from the mean latent of the training networks; `refined`, decoded once the latent has taken
    some steps on training images; and the controls, see `Comparison.controls`.
    """
    compared = [
        Comparison(
            train=task.zoo["train"][name],
            test=task.zoo["test"][name],
            known=task.images["train"],
            images=task.images["test"],
            stream=task.stream.of(name),
            seed=task.seed,
            band=task.controls.band,
        )
        for name in task.architectures
    ]
    rows = []
    for seed, embedder in task.embedders.items():
        for one in compared:
            rows += one.decoded(embedder, seed) + one.mean_latent(embedder, seed)
            rows += one.refined(embedder, seed, cfg)
    embedding = next(iter(task.embedders.values())).arm.cfg
    for one in compared:
        rows += one.controls(task.controls, embedding, cfg)
    return table(rows, CLASSIFIERS["reconstruction"])


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


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Networks of one architecture to be rebuilt, and what they are compared with.

    Attributes:
        train: training networks.
        test: networks that are rebuilt, known to nothing but the encoder.
        known: training images.
        images: images to compare outputs on.
        stream: what refinement and controls draw from.
        seed: of the study.
        band: how many others of nearest accuracy `agreement_other` is averaged over.
    """

    train: Population
    test: Population
    known: ImageSplit
    images: ImageSplit
    stream: Stream
    seed: int
    band: int

    @property
    def architecture(self) -> str:
        """Its name."""
        return self.test.family.architecture

    @cached_property
    def targets(self) -> Tensor:
        """Logits [n, images, K] of the networks that are rebuilt."""
        return self.test.outputs(self.images)

    @cached_property
    def answers(self) -> Tensor:
        """Logits [n, images, K] of the networks that are rebuilt, on the training images."""
        return self.test.outputs(self.known)

    def rows(self, method: str, outputs: Tensor, **columns: Any) -> list[Row]:
        """Rows of a method whose networks have the logits `outputs` [n, images, K].

        Args:
            method: its name.
            outputs: of what came back of each network.
            columns: values of other columns, for all networks or a list with one for each.
        """
        test, labels = self.test, self.images.y
        found = {
            "network": test.names,
            "architecture": self.architecture,
            "method": method,
            "predicted_architecture": self.architecture,
            "target_accuracy": ensemble.accuracy(self.targets, labels).tolist(),
            "accuracy": ensemble.accuracy(outputs, labels).tolist(),
            "agreement": ensemble.agreement(outputs, self.targets).tolist(),
            "agreement_other": agreement_other(outputs, self.targets, labels, self.band).tolist(),
            "embedder": "none",
            "seed": self.seed,
            "latent": 0,
            "compression": np.nan,
        }
        if "epochs" in test.frame:
            found["epochs"] = test.frame["epochs"].tolist()
        return pd.DataFrame(found | columns).to_dict("records")

    def decoded(self, embedder: Embedder, seed: int) -> list[Row]:
        """Rows of networks decoded from their latents."""
        return self._from_latents("decoded", embedder, seed, self._latents(embedder))

    def mean_latent(self, embedder: Embedder, seed: int) -> list[Row]:
        """Rows of the network decoded from the mean latent of the training networks."""
        arm, name = embedder.arm, self.architecture
        with torch.no_grad():
            flat = arm.decode(name, arm.encode(name, self.train.flat).mean(0, keepdim=True))
        outputs = self.test.family.predict(flat, self.images.x).expand_as(self.targets)
        return self.rows("mean_latent", outputs, **self._made_by(embedder, seed))

    def refined(self, embedder: Embedder, seed: int, cfg: Reconstruction) -> list[Row]:
        """Rows of networks whose latents have taken some steps on training images."""
        latents = refine(
            embedder.arm,
            self.architecture,
            self._latents(embedder),
            self._own_loss(embedder.arm.cfg, cfg.batch),
            stream=self.stream.of("refine", seed),
            steps=cfg.steps,
            rate=cfg.rate,
        )
        return self._from_latents("refined", embedder, seed, latents)

    def look_up(self) -> list[Row]:
        """Rows of `nearest_agreement` and `readout`, see `controls`."""
        return self._run_all(self._looked_up())

    def controls(self, cfg: Controls, embedding: Embedding, steps: Reconstruction) -> list[Row]:
        """Rows of every control that knows the training networks, or the target's outputs alone.

        `constant`, the best training network; `nearest_weights` and `nearest_agreement`, the
        training network nearest in weights, or in its answers to training images; `readout`, the
        best training network with a last layer fitted to the target's outputs on training images,
        left out where that layer is not a linear one; `pca`, the weights on as many principal
        components as the latent has numbers, or as there are; `noise`, training networks with
        noise on them; `mean_weights`; `distilled`, fresh networks that take as many steps, on as
        many images and with the same loss, as the refinement of a latent.

        Args:
            cfg: settings of the controls.
            embedding: settings of the embedder.
            steps: how many steps, on how many images each.
        """
        train, test, count = self.train, self.test, len(self.test.flat)
        stream = self.stream.of("distilled")
        flats = {
            "constant": train.best().expand(count, -1),
            "nearest_weights": controls.nearest_weights(train, test.flat),
            **self._looked_up(),
            "pca": controls.pca(train.flat, test.flat, embedding.latent),
            "noise": controls.noisy(train, count, cfg.noise, self.stream),
            "mean_weights": train.flat.mean(0).expand(count, -1),
            "distilled": controls.distill(
                test.family,
                fresh_networks(self.architecture, self.known, count, stream),
                self._own_loss(embedding, steps.batch),
                stream=stream,
                steps=steps.steps,
                rate=cfg.distill_rate,
            ),
        }
        return self._run_all(flats)

    def _looked_up(self) -> dict[str, Tensor]:
        outputs = self.train.outputs(self.known)
        found = {"nearest_agreement": controls.nearest_agreement(self.train, outputs, self.answers)}
        with suppress(EmbedderError):
            found["readout"] = controls.readout(self.train, self.known, self.answers)
        return found

    def _run_all(self, flats: dict[str, Tensor]) -> list[Row]:
        run = self.test.family.predict
        outputs = {method: run(flat.contiguous(), self.images.x) for method, flat in flats.items()}
        return [row for method, found in outputs.items() for row in self.rows(method, found)]

    @torch.no_grad()
    def _latents(self, embedder: Embedder) -> Tensor:
        return embedder.arm.encode(self.architecture, self.test.flat)

    def _from_latents(
        self, method: str, embedder: Embedder, seed: int, latents: Tensor
    ) -> list[Row]:
        names, outputs = run_predicted(embedder.arm, latents, self.images.x)
        made_by = self._made_by(embedder, seed)
        return self.rows(method, outputs, predicted_architecture=names, **made_by)

    def _made_by(self, embedder: Embedder, seed: int) -> Row:
        cfg = embedder.arm.cfg
        compression = self.test.family.layout.size / cfg.latent
        return {
            "embedder": cfg.arm,
            "seed": seed,
            "latent": cfg.latent,
            "compression": compression,
        }

    def _own_loss(self, cfg: Embedding, batch: int) -> Callable[[Run, torch.Generator], Tensor]:
        """The loss of networks from their own targets, on `batch` training images."""
        cfg, test = cfg.model_copy(update={"batch_size": batch}), self.test

        def loss(run: Run, rng: torch.Generator) -> Tensor:
            x, _ = noisy_images(self.known, cfg, rng)
            with torch.no_grad():
                targets = test.family.run(test.flat, x)
            return own_loss(run(x), targets, cfg)

        return loss

"""How well held-out networks of one architecture come back from the latent space of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.config import Controls, Embedding, SingleArch
from lib.data.images import ImageSplit
from lib.embed.arm import EmbedderError
from lib.embed.arms.readout import assemble, beheaded
from lib.embed.fitting import fit_last
from lib.embed.fresh import fresh_networks
from lib.embed.multiarch import noisy_images
from lib.embed.product import Embedder
from lib.embed.refine import Run, refine
from lib.embed.singlearch import own_loss, spread_of
from lib.engine import ensemble
from lib.evaluate import controls
from lib.evaluate.reconstruction import agreement_other
from lib.zoo.population import Population

COLUMNS = (
    "network",
    "epochs",
    "method",
    "target_accuracy",
    "accuracy",
    "agreement",
    "agreement_other",
    "embedder",
    "seed",
    "latent",
    "compression",
)


@dataclass(frozen=True)
class Reconstruction:
    """Networks to be rebuilt, those that are known, and the images to compare them on.

    Attributes:
        train: training networks.
        test: networks that are rebuilt, known to nothing but the encoder.
        known: training images; images: images to compare outputs on.
        seed: study seed.
        band: how many others of nearest accuracy `agreement_other` is averaged over.
    """

    train: Population
    test: Population
    known: ImageSplit
    images: ImageSplit
    seed: int
    band: int

    @cached_property
    def targets(self) -> Tensor:
        """Logits [n, images, K] of the networks that are rebuilt."""
        return self.test.outputs(self.images)

    def decoded_rows(self, embedder: Embedder, seed: int) -> list[tuple]:
        """Rows of the decoded networks."""
        return self._latent_rows("decoded", embedder, seed, self._latents(embedder))

    def refined_rows(self, embedder: Embedder, seed: int, cfg: SingleArch) -> list[tuple]:
        """Rows of networks whose latents take `cfg.refine_steps` steps on training images."""
        arm = embedder.arm
        refined = refine(
            arm,
            self.test.family.architecture,
            self._latents(embedder),
            ("refine", self.seed, seed),
            cfg.refine_steps,
            cfg.refine_rate,
            self._own(arm.cfg, cfg.refine_batch),
        )
        return self._latent_rows("refined", embedder, seed, refined)

    @torch.no_grad()
    def _latents(self, embedder: Embedder) -> Tensor:
        return embedder.arm.encode(self.test.family.architecture, self.test.flat)

    @torch.no_grad()
    def _latent_rows(self, method: str, embedder: Embedder, seed: int, latents: Tensor):
        arm = embedder.arm
        flat = arm.decode(self.test.family.architecture, latents)
        return self._rows(method, flat, arm.cfg.arm, seed, arm.cfg.latent)

    def look_up_rows(self) -> list[tuple]:
        """Rows of the training network that agrees most, and of `readout`, see `control_rows`."""
        return [
            row for method, flat in self._looked_up().items() for row in self._rows(method, flat)
        ]

    def control_rows(self, cfg: Controls, embedding: Embedding, single: SingleArch) -> list[tuple]:
        """Rows of every control that knows the training networks, or the target's outputs alone.

        `readout` is the best training network with a last layer fitted, in closed form, to the
        target's outputs on training images; left out where that layer is not a linear one.
        `pca` keeps as many components as the embedder's latent has numbers, or as there are.
        `distilled` starts from fresh networks and takes as many steps, on as many images, as the
        refinement of a latent.
        """
        train, test, count = self.train, self.test, len(self.test.flat)
        name, names = test.family.architecture, ("control", self.seed)
        flats = {
            "constant": train.best().expand(count, -1),
            "nearest_weights": controls.nearest_weights(train, test.flat),
            **self._looked_up(),
            "pca": pca(train.flat, test.flat, embedding.latent),
            "noise": controls.noisy(train, count, cfg.noise, names),
            "mean_weights": train.flat.mean(0).expand(count, -1),
            "distilled": controls.distill(
                test.family,
                fresh_networks(name, self.known, count, (*names, "distilled")),
                (*names, "distilled"),
                single.refine_steps,
                cfg.distill_rate,
                self._own(embedding, single.refine_batch),
            ),
        }
        return [row for method, flat in flats.items() for row in self._rows(method, flat)]

    def _looked_up(self) -> dict[str, Tensor]:
        known, outputs = (networks.outputs(self.known) for networks in (self.train, self.test))
        found = {"nearest_agreement": controls.nearest_agreement(self.train, known, outputs)}
        with suppress(EmbedderError):
            found["readout"] = self._readout()
        return found

    def _readout(self) -> Tensor:
        family, best = self.test.family, self.train.best()[None]
        body, place = beheaded(family)
        features = nn.functional.pad(
            body.predict(best[:, place < body.layout.size], self.known.x), (0, 1), value=1.0
        )
        wanted = self.test.outputs(self.known)
        spread = spread_of(wanted)
        last = spread * fit_last(features, (wanted - wanted.mean(-1, keepdim=True)) / spread)
        return assemble(best[:, place < body.layout.size], last, place)

    def _own(self, cfg: Embedding, batch: int) -> Callable[[Run, torch.Generator], Tensor]:
        """The loss of networks from their own targets, on `batch` training images."""
        cfg, flat, family = (
            cfg.model_copy(update={"batch_size": batch}),
            self.test.flat,
            self.test.family,
        )

        def loss(run: Run, rng: torch.Generator) -> Tensor:
            x, _ = noisy_images(self.known, cfg, rng)
            with torch.no_grad():
                targets = family.run(flat, x)
            return own_loss(run(x), targets, cfg)

        return loss

    def _rows(
        self, method: str, flat: Tensor, embedder: str = "none", seed: int = 0, latent: int = 0
    ) -> list[tuple]:
        test, labels, count = self.test, self.images.y, len(flat)
        outputs = test.family.predict(flat.contiguous(), self.images.x)
        values = (
            ensemble.accuracy(self.targets, labels),
            ensemble.accuracy(outputs, labels),
            ensemble.agreement(outputs, self.targets),
            agreement_other(outputs, self.targets, labels, self.band),
        )
        compression = test.flat.shape[1] / latent if latent else np.nan
        return list(
            zip(
                test.names,
                test.frame["epochs"].tolist(),
                [method] * count,
                *(value.tolist() for value in values),
                *([v] * count for v in (embedder, seed, latent, compression)),
                strict=True,
            )
        )


def pca(known: Tensor, flat: Tensor, components: int) -> Tensor:
    """Networks [n, P] projected on principal components of other networks [m, P]."""
    mean = known.mean(0)
    axes = torch.linalg.svd(known - mean, full_matrices=False).Vh[:components]
    return mean + (flat - mean) @ axes.T @ axes


def table(rows: list[tuple]) -> pd.DataFrame:
    """The rows as the table `singlearch/reconstruction.csv`."""
    return pd.DataFrame(rows, columns=COLUMNS)

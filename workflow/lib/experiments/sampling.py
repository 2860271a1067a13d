"""Networks drawn from a density over latents, each for one band of accuracy, and trained further.

Bands are thirds of the training networks of an architecture by validation accuracy. A density is
fitted to the latents of the training networks of a band, in their principal components; its
bandwidth or number of components is the most likely one for the validation networks of that band.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.config import experiments as asked
from lib.core.progress import track
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.experiments.bands import BANDS, bands_of
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.further import continued, shortened
from lib.experiments.noise import Copies
from lib.experiments.task import Row, Task, table
from lib.zoo.population import Population

DENSITIES = ("kde", "mixture")
EXPLAINED = 0.99  # share of the variance of latents that densities are fitted in
BANDWIDTHS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
COMPONENTS = (1, 2, 4, 8)
Splits = Mapping[str, Population]  # the networks of one architecture by split


def run(task: Task, cfg: asked.Sampling) -> pd.DataFrame:
    """The table `sampling.csv`: test accuracy as drawn and after some epochs."""
    rows: list[Row] = []
    for seed in task.embedders:
        for name in task.architectures:
            drawn = drawn_of(task, cfg, name, seed)
            stream = stream_of(task, seed, name)
            rows += [row | {"seed": seed} for row in looked_at(task, cfg, name, drawn, stream)]
    return table(rows, CLASSIFIERS["sampling"])


def stream_of(task: Task, seed: int, architecture: str) -> Stream:
    """What the draws for one embedder and architecture come from, whichever experiment asks."""
    return Stream(*task.stream.names[:-1], "sampling", seed, architecture)


def drawn_of(task: Task, cfg: asked.Sampling, architecture: str, seed: int) -> list[Drawn]:
    """`draw` for one embedder of a task; the same networks in every experiment of the space."""
    zoo = {split: by[architecture] for split, by in task.zoo.items()}
    stream = stream_of(task, seed, architecture)
    return draw(task.embedders[seed], stream, cfg.samples, zoo, task.images["validation"])


@dataclass(frozen=True)
class Density:
    """A density over latents, to draw from: a fitted model in scaled principal components."""

    mean: np.ndarray
    axes: np.ndarray  # [k, D]: latent = mean + draws @ axes
    model: object
    choice: float

    @classmethod
    def fit(cls, kind: str, known: np.ndarray, held_out: np.ndarray, stream: Stream) -> Density:
        """Fit to latents [n, D], chosen by the likelihood of others [m, D] (if there are any).

        Args:
            kind: `kde`, Gaussian kernels, or `mixture`, Gaussians with a variance per axis.
            known: latents of training networks.
            held_out: latents of validation networks.
            stream: what the mixture starts from.
        """
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture
        from sklearn.neighbors import KernelDensity

        pca = PCA(svd_solver="full").fit(known)
        shares = np.cumsum(pca.explained_variance_ratio_)
        count = min(int(np.searchsorted(shares, EXPLAINED)) + 1, max(1, len(known) - 1))
        scale = np.sqrt(np.maximum(pca.explained_variance_[:count], 1e-12))[:, None]
        axes = pca.components_[:count]
        points, others = (((x - pca.mean_) @ axes.T) / scale.T for x in (known, held_out))
        if kind == "kde":
            models = [(b, KernelDensity(bandwidth=b).fit(points)) for b in BANDWIDTHS]
        else:
            seed = stream.seed % 2**32
            models = [
                (k, GaussianMixture(k, covariance_type="diag", random_state=seed).fit(points))
                for k in COMPONENTS
                if k <= len(points)
            ]
        likely = [model.score(others) if len(others) else 0.0 for _, model in models]
        choice, model = models[int(np.argmax(likely))]
        return cls(pca.mean_, axes * scale, model, float(choice))

    def draw(self, count: int, stream: Stream) -> Tensor:
        """So many latents [count, D]."""
        seed = stream.seed % 2**32
        if hasattr(self.model, "bandwidth"):
            points = self.model.sample(count, random_state=seed)
        else:
            self.model.set_params(random_state=seed)
            points = self.model.sample(count)[0]
            points = points[np.random.default_rng(seed).permutation(len(points))]
        return torch.from_numpy((self.mean + points @ self.axes).astype(np.float32))


@dataclass(frozen=True)
class Drawn:
    """Networks of one kind for one band: [n, P], with a name each."""

    kind: str
    band: str
    names: list[str]
    flat: Tensor
    level: float = float("nan")


def draw(
    embedder: Embedder, stream: Stream, samples: int, zoo: Splits, validation: ImageSplit
) -> list[Drawn]:
    """Networks of one architecture to look at, by kind and band.

    Kinds: `kde`, `mixture`; `noise`, training networks of the band with as much noise as leaves
    them as accurate as the drawn ones (`noise.noise_level`); `training`, training networks of the
    band as they are, drawn at random.

    Args:
        embedder: what encodes and decodes.
        stream: what is drawn from.
        samples: networks of each kind and band, or as many as there are.
        zoo: the networks of the architecture by split.
        validation: validation images.
    """
    train, drawn = zoo["train"], list[Drawn]()
    name, arm = train.family.architecture, embedder.arm
    known, held_out = bands_of(train, train), bands_of(train, zoo["validation"])
    with torch.no_grad():
        latents, others = (
            arm.encode(name, zoo[split].flat).cpu().double().numpy()
            for split in ("train", "validation")
        )
        for k, band in enumerate(BANDS):
            if (known == k).sum() < 2:
                continue  # accuracies that are all alike leave bands empty
            here, new = (latents[known == k], others[held_out == k]), []
            for kind in DENSITIES:
                density = Density.fit(kind, *here, stream.of("density", kind, band))
                points = density.draw(samples, stream.of("draw", kind, band))
                ids = [f"{kind}-{band}-{i}" for i in range(samples)]
                flat = arm.decode(name, points.to(train.flat.device))
                new.append(Drawn(kind, band, ids, flat))
            made = torch.cat([group.flat for group in new])
            rng = stream.of("noise", band).torch()
            rows = np.flatnonzero(known == k)
            copies = Copies.draw(_rows(train, rows), samples, made, validation, rng)
            training = Drawn("training", band, copies.names, copies.before)
            noise = Drawn("noise", band, copies.names, copies.after, copies.level)
            drawn += [*new, training, noise]
    return drawn


def looked_at(
    task: Task, cfg: asked.Sampling, architecture: str, drawn: Sequence[Drawn], stream: Stream
) -> Iterator[Row]:
    """Rows of drawn networks: test accuracy as they are, and after some epochs.

    All of what was drawn at epoch 0, and the first `cfg.finetuned` of each kind and band after
    `cfg.epochs` epochs on training images; besides, the kind `initialised` (no band), fresh
    networks whose fused batch norm fits the images, trained in the same way.
    """
    images, test = task.images["train"], task.images["test"]
    family = task.zoo["train"][architecture].family
    fresh = fresh_networks(
        architecture, images, cfg.finetuned, stream.of("initialised"), calibrated=True
    )
    ids = [f"fresh-{i}" for i in range(len(fresh))]
    everything = [*drawn, Drawn("initialised", "", ids, fresh)]

    def rows(group: Drawn, epochs: int, flat: Tensor) -> Iterator[Row]:
        outputs = family.predict(flat.contiguous(), test.x)
        accuracies = ensemble.accuracy(outputs, test.y).tolist()
        for network, accuracy in zip(group.names, accuracies, strict=False):
            yield {
                "network": network,
                "architecture": architecture,
                "kind": group.kind,
                "band": group.band,
                "epochs": epochs,
                "accuracy": accuracy,
            }

    for group in track(everything, f"kinds of {architecture}"):
        yield from rows(group, 0, group.flat)
    tuned = [group for group in everything if group.kind != "training"]
    starts = [group.flat[: cfg.finetuned] for group in tuned]
    how = shortened(task.training, max(cfg.epochs), learning_rate=cfg.rate, schedule="constant")
    further = stream.of("finetune"), images, task.engine
    after = continued(family, torch.cat(starts), how, *further, epochs=cfg.epochs)
    for epochs, networks in after.items():
        parts = networks.split([len(start) for start in starts])
        for group, flat in zip(tuned, parts, strict=True):
            yield from rows(group, epochs, flat)


def _rows(population: Population, rows: np.ndarray) -> Population:
    """Some of the networks, by their numbers."""
    frame = population.frame.iloc[rows].reset_index(drop=True)
    return Population(population.family, frame, population.flat[torch.from_numpy(rows)])

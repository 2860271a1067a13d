"""Networks drawn from a density over latents, each for one band of accuracy.

Bands are thirds of the training networks by validation accuracy. A density is fitted to the latents
of the training networks of a band, in their principal components; its bandwidth or number of
components is the most likely one for the validation networks of that band.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.config import SingleExploration, Training
from lib.core.progress import track
from lib.core.repro import generator, seed_for
from lib.data.images import ImageSplit
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.engine.training import Engine
from lib.evaluate import novelty
from lib.evaluate.further import continued, shortened
from lib.evaluate.retrieval import bands
from lib.zoo.population import Population

COLUMNS = ("network", "kind", "band", "epochs", "accuracy", "seed")
BANDS = ("low", "middle", "high")
DENSITIES = ("kde", "mixture")
EXPLAINED = 0.99  # share of the variance of latents that densities are fitted in
BANDWIDTHS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
COMPONENTS = (1, 2, 4, 8)
Zoo = Mapping[str, Population]


def bands_of(train: Population, population: Population) -> np.ndarray:
    """The band (0, 1, 2) of each network, by its validation accuracy among the training ones."""
    return bands(train.scores.numpy(), population.scores.numpy())


def part(population: Population, rows: np.ndarray) -> Population:
    """Some of the networks, by their numbers."""
    frame = population.frame.iloc[rows].reset_index(drop=True)
    return Population(population.family, frame, population.flat[torch.from_numpy(rows)])


@dataclass(frozen=True)
class Density:
    """A density over latents, to draw from: a fitted model in scaled principal components."""

    mean: np.ndarray
    axes: np.ndarray  # [k, D]: latent = mean + draws @ axes
    model: object
    choice: float

    @classmethod
    def fit(cls, kind: str, known: np.ndarray, held_out: np.ndarray, *names: str | int) -> Density:
        """Fit to latents [n, D], chosen by the likelihood of others [m, D] (if there are any).

        Args:
            kind: `kde`, Gaussian kernels, or `mixture`, Gaussians with a variance per axis.
            known: latents of training networks.
            held_out: latents of validation networks.
            names: names of the random streams.
        """
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture
        from sklearn.neighbors import KernelDensity

        pca = PCA(svd_solver="full").fit(known)
        shares = np.cumsum(pca.explained_variance_ratio_)
        count = min(int(np.searchsorted(shares, EXPLAINED)) + 1, max(1, len(known) - 1))
        scale = np.sqrt(np.maximum(pca.explained_variance_[:count], 1e-12))[:, None]
        axes = pca.components_[:count]
        points, others = (((some - pca.mean_) @ axes.T) / scale.T for some in (known, held_out))
        if kind == "kde":
            models = [(b, KernelDensity(bandwidth=b).fit(points)) for b in BANDWIDTHS]
        else:
            seed = seed_for("density", *names) % 2**32
            models = [
                (k, GaussianMixture(k, covariance_type="diag", random_state=seed).fit(points))
                for k in COMPONENTS
                if k <= len(points)
            ]
        likely = [model.score(others) if len(others) else 0.0 for _, model in models]
        choice, model = models[int(np.argmax(likely))]
        return cls(pca.mean_, axes * scale, model, float(choice))

    def draw(self, count: int, *names: str | int) -> Tensor:
        """So many latents [count, D], from a stream of these names."""
        seed = seed_for("draw", *names) % 2**32
        if hasattr(self.model, "bandwidth"):
            found = self.model.sample(count, random_state=seed)
        else:
            self.model.set_params(random_state=seed)
            found = self.model.sample(count)[0]
            found = found[np.random.default_rng(seed).permutation(len(found))]
        return torch.from_numpy((self.mean + found @ self.axes).astype(np.float32))


@dataclass(frozen=True)
class Drawn:
    """Networks of one kind for one band: [n, P], with a name each."""

    kind: str
    band: str
    names: list[str]
    flat: Tensor
    level: float = float("nan")


def draw(
    embedder: Embedder, names: tuple, cfg: SingleExploration, zoo: Zoo, validation: ImageSplit
) -> list[Drawn]:
    """Networks to look at, by kind and band.

    Kinds: `kde`, `mixture`; `noise`, training networks of the band with as much noise as leaves
    them as accurate as the drawn ones (`novelty.noise_level`); `training`, training networks of the
    band as they are, drawn at random. Of each `cfg.samples`, or as many as there are.
    """
    train, found = zoo["train"], []
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
            here = latents[known == k], others[held_out == k]
            for kind in DENSITIES:
                density = Density.fit(kind, *here, *names, kind, band)
                drawn = density.draw(cfg.samples, *names, kind, band).to(train.flat.device)
                ids = [f"{kind}-{band}-{i}" for i in range(cfg.samples)]
                found.append(Drawn(kind, band, ids, arm.decode(name, drawn)))
            made = torch.cat([one.flat for one in found if one.band == band])
            found += _training(
                train, np.flatnonzero(known == k), band, made, names, cfg, validation
            )
    return found


def _training(
    train: Population,
    rows: np.ndarray,
    band: str,
    made: Tensor,
    names: tuple,
    cfg: SingleExploration,
    validation: ImageSplit,
) -> Iterator[Drawn]:
    """Training networks of a band, without and with noise."""
    population, rng = part(train, rows), generator(*names, "noise", band)
    chosen = torch.randperm(len(rows), generator=rng)[: cfg.samples]
    noise = torch.randn(len(chosen), made.shape[1], generator=rng).to(made.device)
    level = novelty.noise_level(population, chosen, noise, made, validation)
    ids = [population.names[i] for i in chosen.tolist()]
    flat = population.flat[chosen]
    yield Drawn("training", band, ids, flat)
    yield Drawn("noise", band, ids, flat + level * population.spread() * noise, level)


def sampled(
    drawn: list[Drawn],
    seed: int,
    names: tuple,
    cfg: SingleExploration,
    training: Training,
    images: ImageSplit,
    test: ImageSplit,
    train: Population,
    engine: Engine,
) -> pd.DataFrame:
    """The table `singlearch/sampling.csv`: test accuracy as drawn and after some epochs.

    All of what was drawn at epoch 0, and the first `cfg.finetuned` of each kind and band after
    `cfg.finetune_epochs` epochs on training images; besides, the kind `initialised` (no band),
    fresh networks whose fused batch norm fits the images, trained in the same way.
    """
    family = train.family
    fresh = fresh_networks(
        family.architecture, images, cfg.finetuned, (*names, "initialised"), calibrated=True
    )
    ids = [f"fresh-{i}" for i in range(len(fresh))]
    everything = [*drawn, Drawn("initialised", "", ids, fresh)]
    last = max(cfg.finetune_epochs)
    how = shortened(training, last, learning_rate=cfg.finetune_rate, schedule="constant")
    tuned = [one for one in everything if one.kind != "training"]
    flat = torch.cat([one.flat[: cfg.finetuned] for one in tuned])
    after = continued(family, flat, how, (*names, "finetune"), images, engine, cfg.finetune_epochs)
    rows = []

    def add(one: Drawn, epochs: int, flat: Tensor) -> None:
        accuracies = ensemble.accuracy(family.predict(flat.contiguous(), test.x), test.y).tolist()
        rows.extend(
            (network, one.kind, one.band, epochs, accuracy, seed)
            for network, accuracy in zip(one.names, accuracies, strict=False)
        )

    for one in track(everything, "kinds"):
        add(one, 0, one.flat)
    for epochs, networks in after.items():
        parts = networks.split([len(one.flat[: cfg.finetuned]) for one in tuned])
        for one, some in zip(tuned, parts, strict=True):
            add(one, epochs, some)
    return pd.DataFrame(rows, columns=COLUMNS)


def compared(
    embedder: Embedder, seed: int, drawn: list[Drawn], zoo: Zoo, test: ImageSplit
) -> pd.DataFrame:
    """The table `singlearch/novelty.csv`: each network and the training network nearest to it.

    Columns as in the multi-architecture table, and `band`. Kinds: `kde`, `mixture`, `noise`;
    `decoded_test`, test networks after the latent space; `held_out`, test networks as they are.
    """
    train, population = zoo["train"], zoo["test"]
    trained, name = novelty.Training.of(train, test), train.family.architecture
    bands = [BANDS[k] for k in bands_of(train, population)]
    with torch.no_grad():
        decoded = embedder.arm.decode(name, embedder.arm.encode(name, population.flat))
    tables = []

    def add(kind: str, ids: list[str], flat: Tensor, bands: list[str], level: float) -> None:
        rows = trained.rows(kind, ids, flat, test, level=level)
        of = ("none", 0) if kind == "held_out" else (embedder.arm.cfg.arm, seed)
        tables.append(novelty.table([(*row, *of) for row in rows]).assign(band=bands))

    add("held_out", population.names, population.flat, bands, float("nan"))
    add("decoded_test", population.names, decoded, bands, float("nan"))
    for one in track([one for one in drawn if one.kind != "training"], "kinds"):
        add(one.kind, one.names, one.flat, [one.band] * len(one.names), one.level)
    return pd.concat(tables, ignore_index=True)

"""Are decoded and drawn networks new, or copies of training networks?

Each is compared with all training networks of its architecture, in its weights and in its
answers, and beside it stand what is known to be new (held-out networks, training networks among
themselves) and what is known to be a copy (training networks with noise).

*Distance of weights*: root mean square over the layers' parameters (each weight and each bias
counts the same, however large it is) of the root mean square difference, in units of that
parameter's spread over the training networks. A copy is at 0, two networks that have nothing to
do with each other at about the root of 2. Networks with their neurons in another order compute
the same and are far apart; where it is known how neurons may be ordered (`lib.nets.alignment`), the
distance after alignment stands beside.

*Error overlap*: how many of the images that either of two networks gets wrong both do, the
measure by which published generators of weights were shown to memorise (Zeng et al. 2025, arXiv
2506.17310). Agreement hides it, since good networks agree wherever both are right. `error_overlap`
is that with the nearest training network by answers (`nearest_outputs`), `error_overlap_most` the
largest with any training network, which may be another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan

import pandas as pd
import torch
from torch import Tensor

from lib.config import experiments as asked
from lib.core.progress import track
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.between import between, mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.experiments.bands import BANDS, bands_of
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.noise import Copies
from lib.experiments.sampling import drawn_of
from lib.experiments.task import Row, Task, Zoo, table
from lib.nets.alignment import Neurons
from lib.zoo.population import Population

TEMPERATURE = 4.0  # of the distance that tells networks of the same answers apart


def run(task: Task, cfg: asked.Novelty) -> pd.DataFrame:
    """The table `novelty.csv`: each network and the training networks nearest to it.

    Kinds without an embedder: `training`, training networks beside the others; `held_out`, test
    networks. Kinds of each embedder: see `decoded_rows`, `copy_rows` and `drawn_rows`. `band` is
    the third of the training networks that a network belongs to by validation accuracy: of
    `held_out` and `decoded_test` its own, of what was drawn the one it was drawn for.
    """
    known = {
        name: Known.of(population, task.images["test"])
        for name, population in task.zoo["train"].items()
    }
    beside = {"embedder": "none", "seed": task.seed}
    rows = [row | beside for row in zoo_rows(known, task.zoo["test"])]
    for seed, embedder in task.embedders.items():
        beside = {"embedder": embedder.arm.cfg.arm, "seed": seed}
        parts = decoded_rows(embedder, known, task.zoo["test"]), copy_rows(task, known, seed)
        for part in (*parts, drawn_rows(task, known, seed)):
            rows += [row | beside for row in part]
    return table(rows, CLASSIFIERS["novelty"])


@dataclass(frozen=True)
class Known:
    """The training networks of an architecture, which all others are compared with.

    Attributes:
        population: the networks.
        images: those that answers are compared on (test images).
        scale: [P], by which weights are multiplied to make their distance the Euclidean one.
        outputs: their logits [m, images, K].
        neurons: how they may be ordered; None where that is not known, and for networks with
            shortcuts, where it takes too long to do it for every pair.
    """

    population: Population
    images: ImageSplit
    scale: Tensor
    outputs: Tensor
    neurons: Neurons | None

    @classmethod
    def of(cls, population: Population, images: ImageSplit) -> Known:
        """Take the scale of each layer and the answers on `images` from training networks."""
        spread, entries = population.spread(), population.family.layout.entries
        scale = torch.empty_like(spread)
        for entry in entries:
            place = slice(entry.offset, entry.offset + entry.size)
            scale[place] = 1 / (spread[place] * (entry.size * len(entries)) ** 0.5)
        neurons = Neurons.of(population.family.module)
        neurons = neurons if neurons and neurons.chain else None
        return cls(population, images, scale, population.outputs(images), neurons)

    def distances(self, flat: Tensor) -> Tensor:
        """Distances of weights [n, m] of networks [n, P] to the training networks."""
        pair = flat * self.scale, self.population.flat * self.scale
        return torch.cdist(*pair, compute_mode="donot_use_mm_for_euclid_dist")

    def aligned(self, flat: Tensor) -> Tensor:
        """The same [n, m] with the neurons of each network [n, P] in the training network's order.

        NaN without `neurons`.
        """
        if self.neurons is None:
            return torch.full((len(flat), len(self.population.flat)), torch.nan)
        networks, columns = flat * self.scale, []
        for to in self.population.flat * self.scale:
            columns.append(torch.linalg.vector_norm(self.neurons.align(networks, to) - to, dim=1))
        return torch.stack(columns, 1)

    def rows(
        self,
        kind: str,
        names: Sequence[str],
        flat: Tensor,
        *,
        own: bool = False,
        bands: Sequence[str] | None = None,
        level: float = nan,
    ) -> list[Row]:
        """Rows of networks [n, P] of one kind, but for `embedder` and `seed`.

        Args:
            kind: what the networks are.
            names: an id of each.
            flat: the networks.
            own: they are the training networks themselves, each compared with the others.
            bands: the band of each, where it has one.
            level: of the noise that made them.
        """
        if own and len(flat) == 1:
            return []
        outputs = self.population.family.predict(flat, self.images.x)
        said, known = outputs.argmax(-1), self.outputs.argmax(-1)
        distances, aligned = self.distances(flat), self.aligned(flat)
        agreement = torch.stack([(known == answers).float().mean(-1) for answers in said])
        wrong, known_wrong = said != self.images.y, known != self.images.y
        overlap = torch.stack([_overlap(missed, known_wrong) for missed in wrong])
        if own:
            distances.fill_diagonal_(inf), aligned.fill_diagonal_(inf)
            agreement.fill_diagonal_(-1), overlap.fill_diagonal_(-1)
        near = [
            _nearest(agreed, self.outputs, logits)
            for agreed, logits in zip(agreement, outputs, strict=True)
        ]
        ids = self.population.names
        columns = {
            "network": list(names),
            "architecture": self.population.family.architecture,
            "kind": kind,
            "band": list(bands) if bands else "",
            "accuracy": ensemble.accuracy(outputs, self.images.y).tolist(),
            "nearest_weights": [ids[i] for i in distances.argmin(1).tolist()],
            "weight_distance": distances.min(1).values.tolist(),
            "nearest_outputs": [ids[i] for i in near],
            "agreement": agreement.max(1).values.tolist(),
            "error_overlap": overlap[range(len(near)), near].tolist(),
            "error_overlap_most": overlap.max(1).values.tolist(),
            "aligned_distance": aligned.min(1).values.tolist(),
            "level": level,
        }
        return pd.DataFrame(columns).to_dict("records")


def _overlap(wrong: Tensor, others: Tensor) -> Tensor:
    """Images [images] that both got wrong by those that either did [m]; 1 if there are none."""
    both, either = (wrong & others).sum(-1), (wrong | others).sum(-1)
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


def _nearest(agreement: Tensor, known: Tensor, outputs: Tensor) -> int:
    """Of the training networks that agree on most images, that whose outputs are closest (KL)."""
    tied = (agreement == agreement.max()).nonzero().flatten()
    return int(tied[losses.distillation(known[tied], outputs, TEMPERATURE).argmin()])


def zoo_rows(known: Mapping[str, Known], test: Zoo) -> list[Row]:
    """Rows of what needs no embedder: `training` networks, and `held_out` ones (test networks)."""
    rows: list[Row] = []
    for name, training in track(known.items(), "the zoo"):
        train, held_out = training.population, test[name]
        rows += training.rows("training", train.names, train.flat, own=True)
        bands = _bands(train, held_out)
        rows += training.rows("held_out", held_out.names, held_out.flat, bands=bands)
    return rows


def decoded_rows(embedder: Embedder, known: Mapping[str, Known], test: Zoo) -> list[Row]:
    """Rows of networks decoded from the latent space, as the predicted architecture.

    Kinds: `decoded_test` and `decoded_training`, from the latents of test and training networks;
    `midpoint`, from halfway between two test networks of an architecture (each and the next);
    `interpolated`, from the inner points between test networks of the two extremes (the k-th and
    the k-th).
    """
    rows, arm = list[Row](), embedder.arm
    with torch.no_grad():
        for points in _points(embedder, known, test):
            classes = arm.classify(points.latents).argmax(-1)
            for k in classes.unique().tolist():
                name, chosen = embedder.architectures[k], (classes == k).nonzero().flatten()
                flat, numbers = arm.decode(name, points.latents[chosen]), chosen.tolist()
                bands = [points.bands[i] for i in numbers] if points.bands else None
                names = [points.names[i] for i in numbers]
                rows += known[name].rows(points.kind, names, flat, bands=bands)
    return rows


def copy_rows(task: Task, known: Mapping[str, Known], seed: int) -> list[Row]:
    """Rows of `noise`, without a band: training networks made as accurate as decoded test networks.

    See `noise.noise_level`.
    """
    rows, arm = list[Row](), task.embedders[seed].arm
    for name, training in known.items():
        with torch.no_grad():
            decoded = arm.decode(name, arm.encode(name, task.zoo["test"][name].flat))
        copies = Copies.draw(
            training.population,
            len(decoded),
            decoded,
            task.images["validation"],
            task.stream.of(seed, "noise", name).torch(),
        )
        rows += training.rows("noise", copies.names, copies.after, level=copies.level)
    return rows


def drawn_rows(task: Task, known: Mapping[str, Known], seed: int) -> list[Row]:
    """Rows of the networks that `sampling` draws, where it is asked for.

    Kinds: `kde`, `mixture`, and `noise` of each band, as accurate as what was drawn for it.
    """
    rows: list[Row] = []
    for name in task.architectures if task.sampling else ():
        drawn = [one for one in drawn_of(task, task.sampling, name, seed) if one.kind != "training"]
        for group in track(drawn, f"drawn {name}"):
            bands = [group.band] * len(group.names)
            rows += known[name].rows(
                group.kind, group.names, group.flat, bands=bands, level=group.level
            )
    return rows


@dataclass(frozen=True)
class Points:
    """Latents [n, D] of one kind, with a name each and, of single networks, their bands."""

    kind: str
    names: list[str]
    latents: Tensor
    bands: list[str] | None = None


def _points(embedder: Embedder, known: Mapping[str, Known], test: Zoo) -> Iterator[Points]:
    """All points that are decoded."""
    names, arm = embedder.architectures, embedder.arm
    latents = {name: arm.encode(name, test[name].flat) for name in names}
    for name in names:
        train, ids, here = known[name].population, test[name].names, latents[name]
        yield Points("decoded_test", ids, here, _bands(train, test[name]))
        yield Points("decoded_training", train.names, arm.encode(name, train.flat))
        if len(here) > 1:
            pairs = [f"{a}:{b}@0.5" for a, b in zip(ids, ids[1:], strict=False)]
            yield Points("midpoint", pairs, mix(here[:-1], here[1:], 0.5))
    first, last = names[0], names[-1]
    count = min(len(latents[first]), len(latents[last]))
    pairs = list(zip(test[first].names[:count], test[last].names[:count], strict=True))
    for gamma in between(len(names)):
        ids = [f"{a}:{b}@{gamma:.4f}" for a, b in pairs]
        yield Points("interpolated", ids, mix(latents[first][:count], latents[last][:count], gamma))


def _bands(train: Population, population: Population) -> list[str]:
    return [BANDS[k] for k in bands_of(train, population)]

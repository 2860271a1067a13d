"""Are decoded networks new, or copies of training networks?

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
2506.17310). Agreement hides it, since good networks agree wherever both are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

import pandas as pd
import torch
from torch import Tensor

from lib.core.progress import track
from lib.core.repro import generator
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.multiarch import between, mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.nets.alignment import Neurons
from lib.zoo.population import Population

COLUMNS = (
    "network",
    "architecture",
    "kind",
    "accuracy",
    "nearest_weights",
    "weight_distance",
    "nearest_outputs",
    "agreement",
    "error_overlap",
    "aligned_distance",
    "level",
    "embedder",
    "seed",
)
Zoo = Mapping[str, Population]
TEMPERATURE = 4.0  # of the distance that tells networks of the same answers apart
LEVELS = [10 ** (k / 10 - 2) for k in range(26)]  # of noise: 0.01 to 3.2
SLACK = 0.005  # accuracy that noise may cost at most, see `noise_level`


@dataclass(frozen=True)
class Training:
    """The training networks of an architecture, which all others are compared with.

    scale: [P], what makes the distance of weights the Euclidean one; outputs: logits
    [m, images, K]; neurons: how they may be ordered; None where that is not known, and for
    networks with shortcuts, where it takes too long to do it for every pair.
    """

    population: Population
    scale: Tensor
    outputs: Tensor
    neurons: Neurons | None

    @classmethod
    def of(cls, population: Population, images: ImageSplit) -> Training:
        """Take the scale of each layer and the answers on `images` from training networks."""
        spread, entries = population.spread(), population.family.layout.entries
        scale = torch.empty_like(spread)
        for entry in entries:
            place = slice(entry.offset, entry.offset + entry.size)
            scale[place] = 1 / (spread[place] * (entry.size * len(entries)) ** 0.5)
        neurons = Neurons.of(population.family.module)
        neurons = neurons if neurons and neurons.chain else None
        return cls(population, scale, population.outputs(images), neurons)

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
        networks, found = flat * self.scale, []
        for to in self.population.flat * self.scale:
            found.append(torch.linalg.vector_norm(self.neurons.align(networks, to) - to, dim=1))
        return torch.stack(found, 1)

    def rows(
        self,
        kind: str,
        names: list[str],
        flat: Tensor,
        images: ImageSplit,
        own: bool = False,
        level: float = torch.nan,
    ) -> list[tuple]:
        """Rows of the table, up to `level`, for networks [n, P].

        With `own` they are the training networks themselves, each compared with the others.
        """
        outputs = self.population.family.predict(flat, images.x)
        wrong, known = (o.argmax(-1) != images.y for o in (outputs, self.outputs))
        distances, aligned = self.distances(flat), self.aligned(flat)
        agreement = torch.stack([ensemble.agreement(self.outputs, one) for one in outputs])
        overlap = torch.stack([_overlap(one, known) for one in wrong])
        if own:
            distances.fill_diagonal_(torch.inf), aligned.fill_diagonal_(torch.inf)
            agreement.fill_diagonal_(-1), overlap.fill_diagonal_(-1)
            if len(flat) == 1:
                return []
        weights = distances.argmin(1)
        answers = [
            _nearest(agreed, self.outputs, one)
            for agreed, one in zip(agreement, outputs, strict=True)
        ]
        ids = self.population.names
        return list(
            zip(
                names,
                [self.population.family.architecture] * len(flat),
                [kind] * len(flat),
                ensemble.accuracy(outputs, images.y).tolist(),
                [ids[i] for i in weights.tolist()],
                distances.min(1).values.tolist(),
                [ids[i] for i in answers],
                agreement.max(1).values.tolist(),
                overlap.max(1).values.tolist(),
                aligned.min(1).values.tolist(),
                [level] * len(flat),
                strict=True,
            )
        )


def _overlap(wrong: Tensor, others: Tensor) -> Tensor:
    """Images [images] that both got wrong by those that either did [m]; 1 if there are none."""
    both, either = (wrong & others).sum(-1), (wrong | others).sum(-1)
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


def _nearest(agreement: Tensor, known: Tensor, outputs: Tensor) -> int:
    """Of the training networks that agree on most images, that whose outputs are closest (KL)."""
    tied = (agreement == agreement.max()).nonzero().flatten()
    return int(tied[losses.distillation(known[tied], outputs, TEMPERATURE).argmin()])


def zoo_rows(
    trained: Mapping[str, Training], test: Zoo, images: ImageSplit, seed: int
) -> list[tuple]:
    """Rows of what needs no embedder: `training` networks, and `held_out` ones (test networks)."""
    found = []
    for name, training in track(trained.items(), "the zoo"):
        population = training.population
        found += training.rows("training", population.names, population.flat, images, own=True)
        found += training.rows("held_out", test[name].names, test[name].flat, images)
    return [(*row, "none", seed) for row in found]


def decoded_rows(
    embedder: Embedder,
    seed: int,
    names: tuple,
    trained: Mapping[str, Training],
    test: Zoo,
    images: ImageSplit,
    validation: ImageSplit,
) -> list[tuple]:
    """Rows of networks from the latent space, and of noise that is as accurate.

    Kinds: `decoded_test` and `decoded_training`, networks decoded from the latents of test and
    training networks; `interpolated`, decoded from the inner points between test networks of the
    two extremes (the k-th and the k-th); `midpoint`, from halfway between two test networks of an
    architecture (each and the next); `noise`, training networks with noise (`noise_level`).

    Args:
        embedder: the embedder.
        seed: its seed.
        names: names of the random streams.
        trained: training networks of each architecture.
        test: test networks.
        images: test images, which networks are compared on.
        validation: images by which the level of noise is found.
    """
    zoo = {name: training.population for name, training in trained.items()}
    found = []
    with torch.no_grad():
        for kind, ids, latents in _points(embedder, zoo, test):
            for name, rows, flat in _decoded(embedder, latents):
                some = [ids[i] for i in rows]
                found += trained[name].rows(kind, some, flat, images)
    for name, population in zoo.items():
        with torch.no_grad():
            latents = embedder.arm.encode(name, test[name].flat)
            decoded = embedder.arm.decode(name, latents)
        rng = generator(*names, "novelty", name)
        count = min(len(decoded), len(population.flat))
        chosen = torch.randperm(len(population.flat), generator=rng)[:count]
        noise = torch.randn(population.flat[chosen].shape, generator=rng).to(decoded.device)
        level = noise_level(population, chosen, noise, decoded, validation)
        flat = population.flat[chosen] + level * population.spread() * noise
        some = [population.names[i] for i in chosen.tolist()]
        found += trained[name].rows("noise", some, flat, images, level=level)
    return [(*row, embedder.arm.cfg.arm, seed) for row in found]


def noise_level(
    population: Population,
    chosen: Tensor,
    noise: Tensor,
    decoded: Tensor,
    validation: ImageSplit,
) -> float:
    """How much noise (in units of each layer's spread) keeps networks as accurate as decoded ones.

    The largest of `LEVELS` up to which the training networks `chosen` have, on average over
    validation images, at least the accuracy of the decoded networks [n, P]. Where these are as
    good as training networks without noise or better, noise may cost half a point: no noise at
    all says nothing.
    """

    def score(flat: Tensor) -> float:
        outputs = population.family.predict(flat, validation.x)
        return ensemble.accuracy(outputs, validation.y).mean().item()

    networks, spread = population.flat[chosen], population.spread()
    wanted = min(score(decoded), score(networks) - SLACK)
    good = takewhile(lambda level: score(networks + level * spread * noise) >= wanted, LEVELS)
    return max(good, default=LEVELS[0])


def _points(embedder: Embedder, train: Zoo, test: Zoo) -> Iterator[tuple[str, list[str], Tensor]]:
    """Kind, names and latents [n, D] of all points that are decoded."""
    names, arm = embedder.architectures, embedder.arm
    latents = {name: arm.encode(name, test[name].flat) for name in names}
    for name in names:
        yield "decoded_test", test[name].names, latents[name]
        yield "decoded_training", train[name].names, arm.encode(name, train[name].flat)
        ids, here = test[name].names, latents[name]
        if len(here) > 1:
            pairs = [f"{a}:{b}@0.5" for a, b in zip(ids, ids[1:], strict=False)]
            yield "midpoint", pairs, mix(here[:-1], here[1:], 0.5)
    first, last = names[0], names[-1]
    count = min(len(latents[first]), len(latents[last]))
    pairs = list(zip(test[first].names[:count], test[last].names[:count], strict=True))
    for gamma in between(len(names)):
        ids = [f"{a}:{b}@{gamma:.4f}" for a, b in pairs]
        yield "interpolated", ids, mix(latents[first][:count], latents[last][:count], gamma)


def _decoded(embedder: Embedder, latents: Tensor) -> Iterator[tuple[str, list[int], Tensor]]:
    """Latents [n, D] decoded as predicted: architecture, rows, networks [rows, P]."""
    classes = embedder.arm.classify(latents).argmax(-1)
    for k in classes.unique().tolist():
        name, rows = embedder.architectures[k], (classes == k).nonzero().flatten()
        yield name, rows.tolist(), embedder.arm.decode(name, latents[rows])


def table(found: list[tuple]) -> pd.DataFrame:
    """The rows as the table `novelty.csv`."""
    return pd.DataFrame(found, columns=COLUMNS)

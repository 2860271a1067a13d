"""Walks between two networks of one architecture: in the latent space, and in the weights.

In the weights there are three: as they are; with the neurons of one network in the order of the
other's (`lib.nets.alignment`); and, after that, with the statistics of every hidden neuron set to
what lies between the end points' (`lib.nets.repair`).
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from lib.config import SingleExploration
from lib.core.errors import InputError
from lib.core.progress import track
from lib.core.repro import generator
from lib.data.images import ImageSplit
from lib.embed.multiarch import mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.nets.alignment import Neurons
from lib.nets.repair import mixed, moments, repaired
from lib.zoo.population import Population

COLUMNS = ("pair", "ends", "method", "gamma", "accuracy", "seed")
BATCH = 25  # points repaired at once


class BlendError(InputError):
    """The networks of an architecture cannot be aligned, or there are too few to pair."""


def pairs_of(test: Population, count: int, names: tuple) -> list[tuple[int, int, str]]:
    """Pairs of networks (numbers of the first, of the last) and what their ends are.

    Networks are good or poor as their validation accuracy is in the upper or lower half. Of every
    three pairs two are `good` (both are) and one is `mixed` (from poor to good), as long as there
    are networks left; a network is in one pair at most.

    Raises:
        BlendError: fewer than two networks.
    """
    if len(test.flat) < 2:
        raise BlendError(
            f"a walk needs two networks, there is {len(test.flat)}; raise singlearch.instances.test"
        )
    order = torch.randperm(len(test.flat), generator=generator(*names, "pairs"))
    better = test.scores >= test.scores.median()
    good = [i for i in order.tolist() if better[i]]
    poor = [i for i in order.tolist() if not better[i]]
    found = []
    while len(found) < count:
        if len(found) % 3 == 2 and poor and good:
            found.append((poor.pop(), good.pop(), "mixed"))
        elif len(good) >= 2:
            found.append((good.pop(), good.pop(), "good"))
        elif poor and good:
            found.append((poor.pop(), good.pop(), "mixed"))
        else:
            break
    return found


def interpolate(
    embedder: Embedder,
    seed: int,
    names: tuple,
    cfg: SingleExploration,
    test: Population,
    known: ImageSplit,
    images: ImageSplit,
) -> pd.DataFrame:
    """The table `singlearch/interpolation.csv` of one embedder.

    Methods: `latent`, decoded networks; `weights`; `aligned`; `aligned_reset`. The ends of the
    first are decoded networks, those of the others the test networks themselves.

    Args:
        embedder: an embedder of the architecture.
        seed: its seed.
        names: names of the random streams, which pairs are drawn by.
        cfg: how many pairs and points.
        test: test networks.
        known: training images.
        images: test images.

    Raises:
        BlendError: it is not known how the neurons of the architecture may be ordered.
        RepairError: their mean cannot be set.
    """
    family, name = test.family, test.family.architecture
    neurons = Neurons.of(family.module)
    if neurons is None:
        raise BlendError(
            f"the neurons of {name} cannot be put in another order: it shares layers, has grouped "
            "convolutions or an operation that may look at several channels at once"
        )
    gammas = [k / (cfg.points - 1) for k in range(cfg.points)]
    gamma = torch.tensor(gammas, device=test.flat.device)
    x, rows = known.x[: cfg.reset_images], []
    with torch.no_grad():
        latents = embedder.arm.encode(name, test.flat)

    def accuracies(flat: Tensor) -> list[float]:
        return ensemble.accuracy(family.predict(flat, images.x), images.y).tolist()

    for i, j, ends in track(pairs_of(test, cfg.pairs, names), "pairs"):
        first, last = test.flat[[i]], test.flat[[j]]
        aligned = neurons.align(last, first[0])
        inner = [moments(family.module, neurons.layers, one, x) for one in (first, aligned)]
        way = mix(first, aligned, gamma[:, None])
        reset = torch.cat(
            [
                repaired(family.module, some, x, mixed(*inner, at))
                for some, at in zip(way.split(BATCH), gamma.split(BATCH), strict=True)
            ]
        )
        with torch.no_grad():
            decoded = embedder.arm.decode(name, mix(latents[[i]], latents[[j]], gamma[:, None]))
        found = {
            "latent": decoded,
            "weights": mix(first, last, gamma[:, None]),
            "aligned": way,
            "aligned_reset": reset,
        }
        pair = f"{test.names[i]}:{test.names[j]}"
        for method, flat in found.items():
            rows += [
                (pair, ends, method, at, accuracy, seed)
                for at, accuracy in zip(gammas, accuracies(flat), strict=True)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)

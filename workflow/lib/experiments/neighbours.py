"""Networks that lie near each other: an index over points, exact or, where there are many, not.

index = Index.of_networks(embedder, catalogue, split="train")
index.near(embedder.encode(network))  # names and distances of its ten neighbours
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from lib.core.errors import InputError
from lib.core.streams import Stream
from lib.embed.product import Embedder, load_embedder
from lib.zoo.exchange.files import read_tensors
from lib.zoo.store import Catalogue

EXACT_UP_TO = 100_000  # points; more are searched cell by cell
LOOKED_AT = 1 / 8  # share of the points that an approximate search looks at
PER_CELL = 64  # points for each cell that the cells' centres are found by
BATCH = 256  # networks encoded at once


class NeighbourError(InputError):
    """An index cannot be made or asked for what is wanted."""


class Index:
    """Points [n, D] by Euclidean distance, for neighbours of others.

    Up to `EXACT_UP_TO` points, a search looks at all of them. More are put into cells by k-means,
    and a search looks into the cells whose centres are nearest, `LOOKED_AT` of all points: a
    neighbour in another cell is missed. (This is the inverted file of Jegou, Douze and Schmid
    2011, PAMI 33(1), without its compression.) Equal points give equal answers, distances are
    exact, and of points at the same distance the first comes first.

    Attributes:
        names: a name for each point.
        exact: whether every point is looked at.
    """

    def __init__(
        self,
        points: Tensor | np.ndarray,
        names: Sequence[str] | None = None,
        exact: bool | None = None,
    ) -> None:
        """Index some points; `exact` overrides the choice by their number.

        Raises:
            NeighbourError: no points, points that are no table of finite numbers, or another
                number of names.
        """
        points = _table(points)
        self.names = [str(i) for i in range(len(points))] if names is None else list(names)
        if not len(points):
            raise NeighbourError("an index needs at least one point")
        if len(self.names) != len(points):
            raise NeighbourError(f"{len(self.names)} names for {len(points)} points")
        self.exact = len(points) <= EXACT_UP_TO if exact is None else exact
        count = 1 if self.exact else round(len(points) ** 0.5)
        self._centres, cell = _cells(points, count)
        # Points lie cell by cell: cell c is start[c] to start[c + 1], each of them order[i].
        self._order = np.argsort(cell, kind="stable")
        self._start = np.concatenate([[0], np.bincount(cell, minlength=count).cumsum()])
        self._points = points[self._order]
        self._squares = np.square(self._points).sum(1)

    @classmethod
    def of_networks(
        cls,
        embedder: Embedder,
        catalogue: Catalogue | str | Path,
        architecture: Sequence[str] | None = None,
        split: str | Sequence[str] | None = None,
        exact: bool | None = None,
    ) -> Index:
        """An index of the latents of a catalogue's networks, by default of all healthy ones.

        Raises:
            NeighbourError: no network is left of the embedder's architectures.
            CatalogueError: there is no such architecture or split.
        """
        if not isinstance(catalogue, Catalogue):
            catalogue = Catalogue.load(catalogue)
        known = set(catalogue.frame["architecture"])
        wanted = [name for name in embedder.architectures if name in known]
        wanted = wanted if architecture is None else list(architecture)
        latents, names = [], []
        for name in wanted:
            if name not in embedder.architectures:
                raise NeighbourError(
                    f"this embedder has no {name}, only {', '.join(embedder.architectures)}"
                )
            frame = catalogue.select(name, split)
            if frame.empty:
                continue
            for rows, weights in catalogue.stream(frame, BATCH):
                flat = torch.from_numpy(np.ascontiguousarray(weights)).to(embedder.device)
                with torch.no_grad():
                    latents.append(embedder.arm.encode(name, flat).cpu())
                names += rows["network"].tolist()
        if not names:
            raise NeighbourError("the catalogue holds no healthy network of these architectures")
        return cls(torch.cat(latents), names, exact)

    def search(self, queries: Tensor | np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and distances of the k nearest points of each query [m, D]: two tables [m, k].

        They come nearest first; k is at most the number of points.

        Raises:
            NeighbourError: queries of another width, or k out of range.
        """
        queries = _table(queries)
        size, width = self._points.shape
        if queries.shape[1] != width:
            raise NeighbourError(f"queries have {queries.shape[1]} numbers, the points {width}")
        if not 1 <= k <= size:
            raise NeighbourError(f"{k} neighbours were asked for, there are {size} points")
        near = [self._nearest(query, k) for query in queries]
        numbers = np.array([places for places, _ in near], np.int64).reshape(-1, k)
        return numbers, np.array([far for _, far in near], np.float64).reshape(-1, k)

    def near(self, query: Tensor | np.ndarray, k: int = 10, leave_out: str = "") -> pd.DataFrame:
        """The k networks nearest to a latent [D]: columns `network` and `distance`.

        Fewer where there are not so many; `leave_out` is the name of one that does not count.
        """
        count = min(len(self.names), k + (leave_out in self.names))
        (numbers,), (distances,) = self.search(_table(query[None]), count)
        names = [self.names[number] for number in numbers]
        table = pd.DataFrame({"network": names, "distance": distances})
        return table[table["network"] != leave_out][:k].reset_index(drop=True)

    def _nearest(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and distances [k] of the points nearest to one query [D]."""
        parts = [slice(*self._start[c : c + 2]) for c in self._cells_near(query, k)]
        rough = np.concatenate([self._squares[p] - 2 * (self._points[p] @ query) for p in parts])
        places = np.concatenate([np.arange(p.start, p.stop) for p in parts])
        # Rounded in float32: whatever ties with the k-th, or nearly, is looked at again.
        reach = np.sqrt(self._squares[places].max()) + np.sqrt(np.square(query).sum())
        rounding = 4 * np.finfo(np.float32).eps * (len(query) + 4) * reach**2
        places = places[rough <= np.partition(rough, k - 1)[k - 1] + rounding]
        change = self._points[places].astype(np.float64) - query
        distances, numbers = np.sqrt(np.square(change).sum(1)), self._order[places]
        order = np.lexsort((numbers, distances))[:k]
        return numbers[order], distances[order]

    def _cells_near(self, query: np.ndarray, k: int) -> np.ndarray:
        """The cells to look into, nearest first: `LOOKED_AT` of the points, at least k."""
        near = np.argsort(np.square(self._centres - query).sum(1), kind="stable")
        total = np.diff(self._start)[near].cumsum()
        return near[: np.searchsorted(total, max(k, LOOKED_AT * len(self._order))) + 1]


def _cells(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres [c, D] of cells and the cell of each point [n]."""
    if count == 1:
        return np.zeros((1, points.shape[1]), np.float32), np.zeros(len(points), np.int64)
    rng = np.random.RandomState(Stream("cells").seed % 2**32)
    drawn = points
    if len(points) > PER_CELL * count:
        drawn = points[np.sort(rng.choice(len(points), PER_CELL * count, replace=False))]
    clusters = MiniBatchKMeans(count, batch_size=4096, n_init=1, random_state=rng).fit(drawn)
    return clusters.cluster_centers_, clusters.predict(points)


def _table(points: Tensor | np.ndarray) -> np.ndarray:
    table = np.ascontiguousarray(
        points.detach().cpu().numpy() if isinstance(points, Tensor) else points, np.float32
    )
    if table.ndim != 2:
        raise NeighbourError(f"points are a table [n, D], got shape {table.shape}")
    if not np.isfinite(table).all():
        raise NeighbourError(f"point {np.argwhere(~np.isfinite(table))[0, 0]} is not finite")
    return table


def neighbours(
    embedder: str | Path,
    network: str | Path,
    catalogue: str | Path,
    architecture: Sequence[str] | None = None,
    split: Sequence[str] | None = None,
    k: int = 10,
) -> pd.DataFrame:
    """The k networks of a catalogue whose latents are nearest to that of a network.

    Args:
        embedder: an embedder file.
        network: id of a network of the catalogue, which is no neighbour of itself, or a
            safetensors file of parameters by name, with batch norm or fused.
        catalogue: the catalogue file.
        architecture: look among these only.
        split: look among these only.
        k: how many; fewer come back where there are not so many.

    Returns:
        Columns `network, distance, architecture, split, validation_accuracy`, nearest first.

    Raises:
        NeighbourError: k is less than 1, or nothing is left to look among.
        EmbedderError: the file holds no network of the embedder.
        ExchangeError: the file is missing or none of safetensors.
        CatalogueError: no network has this id, or there is no such architecture or split.
    """
    if k < 1:
        raise NeighbourError(f"{k} neighbours were asked for, at least 1 is needed")
    loaded, table = load_embedder(embedder), Catalogue.load(catalogue)
    if known := str(network) in set(table.frame["network"]):
        latent = loaded.encode(str(network), table)
    elif Path(network).suffix == ".safetensors":
        latent = loaded.encode(read_tensors(network)[0])
    else:
        raise NeighbourError(f"{network} is no network of {catalogue} and no safetensors file")
    index = Index.of_networks(loaded, table, architecture, split)
    found = index.near(latent, k, leave_out=str(network) if known else "")
    facts = table.frame.drop_duplicates("network").set_index("network")
    facts = facts[["architecture", "split", "validation_accuracy"]]
    return found.join(facts, on="network")

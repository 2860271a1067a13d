"""The catalogue: one table over all networks of a zoo, whatever shards they lie in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.zoo.store import where as conditions
from lib.zoo.store.format import SPLITS, STATUSES, CatalogueError
from lib.zoo.store.reader import read_instances
from lib.zoo.store.rows import Places, ShardRows
from lib.zoo.store.table import PLACE, joined, kind_of, load_table, save_table

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 1 << 25  # bytes of weights that a stream reads at once
Where = str | Callable[[pd.DataFrame], Any] | Sequence[bool] | np.ndarray | pd.Series


class Catalogue:
    """All networks of a zoo.

    Attributes:
        frame: One row per network: the instance columns of the shards, then `shard` (path
            relative to `root`) and `row` (row number in it). Ordered by architecture and instance.
        root: The folder that shard paths are relative to; the catalogue's own, once loaded.
    """

    def __init__(self, frame: pd.DataFrame, root: str | Path) -> None:
        self.frame = frame
        self.root = Path(root)
        self._shards: dict[Path, ShardRows] = {}

    @classmethod
    def build(
        cls,
        shard_paths: Iterable[str | Path],
        architectures: Sequence[str] = (),
    ) -> Catalogue:
        """Catalogue of shards; the order of the paths and the cut into shards do not matter.

        Args:
            shard_paths: At least one shard.
            architectures: Their order in the catalogue; those not named follow by name.

        Raises:
            ShardError: a shard is damaged.
            CatalogueError: no shards, a network in two of them, or shards that contradict each
                other in layout or in the type of a column.
        """
        paths = [Path(path).absolute() for path in shard_paths]
        if not paths:
            raise CatalogueError("a catalogue needs at least one shard")
        root = Path(os.path.commonpath([path.parent for path in paths]))
        tables, layouts, kinds = [], {}, dict(PLACE)
        for path in paths:
            header, table = read_instances(path)
            first, layout = layouts.setdefault(header.architecture, (path, header.layout))
            if layout != header.layout:
                raise CatalogueError(
                    f"{path}: its layout of {header.architecture} differs from that of {first}"
                )
            for name in table.columns:
                kind = kind_of(table[name])
                if kinds.setdefault(name, kind) != kind:
                    raise CatalogueError(
                        f"{path}: column {name!r} holds {kind}, in other shards {kinds[name]}"
                    )
            tables.append(table.assign(shard=_relative(path, root), row=np.arange(len(table))))
        order = [*architectures, *sorted(set(layouts) - set(architectures))]
        return cls(joined(tables, kinds, order), root)

    @classmethod
    def load(cls, path: str | Path) -> Catalogue:
        """Read a catalogue; its shards are looked for relative to its own folder.

        Raises:
            CatalogueError: no such file, not a table, or a column missing.
        """
        return cls(load_table(path), Path(path).absolute().parent)

    def save(self, path: str | Path) -> None:
        """Write the catalogue as CSV (texts quoted, numbers exact), shards relative to it."""
        path = Path(path).absolute()
        moved = {
            shard: _relative(self.root / shard, path.parent)
            for shard in self.frame["shard"].unique()
        }
        save_table(self.frame.assign(shard=self.frame["shard"].map(moved)), path)

    def select(
        self,
        architecture: str | Sequence[str] | None = None,
        split: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = "ok",
        where: Where | None = None,
        checkpoints: bool = False,
    ) -> pd.DataFrame:
        """The networks of these architectures, splits and statuses (None: all), in order.

        Diverged networks are left out unless `status` asks for them.

        Args:
            architecture: One or several names.
            split: One or several of train, validation and test.
            status: One or several of ok and diverged.
            where: A further condition on any columns: a text such as
                `"validation_accuracy > 0.9 and optimizer in ('sgd', 'adam')"`
                (`lib.zoo.store.where`), a function from the catalogue's frame to a mask, or a
                mask [len(frame)].
            checkpoints: With intermediate checkpoints too, not only with each network's result.

        Raises:
            CatalogueError: there is no such architecture, split or status, or no such mask.
            ConditionError: the condition is wrong.
        """
        frame = self.frame
        keep = np.ones(len(frame), bool)
        for name, wanted in (("architecture", architecture), ("split", split), ("status", status)):
            if wanted is None:
                continue
            wanted = [wanted] if isinstance(wanted, str) else list(wanted)
            known = {"split": SPLITS, "status": STATUSES}.get(name) or tuple(frame[name].unique())
            if unknown := [value for value in wanted if value not in known]:
                raise CatalogueError(
                    f"no {name} {unknown[0]!r} in this catalogue; there is {', '.join(known)}"
                )
            keep &= frame[name].isin(wanted).to_numpy()
        if not checkpoints and "checkpoint_epoch" in frame:
            keep &= ~(frame["checkpoint_epoch"] >= 0).to_numpy()
        if where is not None:
            keep &= self._mask(where)
        return frame[keep].reset_index(drop=True)

    def weights(self, frame: pd.DataFrame, verify: bool = True) -> np.ndarray:
        """Weights of the networks of `frame`, in its order: float32 [n, P].

        Only the rows asked for are read, in any order and from any shards, and each is compared
        with its digest unless `verify` is false.

        Raises:
            CatalogueError: no networks, or networks of several architectures.
            ShardError: a shard is damaged.
        """
        return self._places(frame).read(np.arange(len(frame)), verify)

    def stream(
        self,
        frame: pd.DataFrame,
        batch: int,
        seed: int | None = None,
        verify: bool = True,
        block: int = 1,
        window: int = WINDOW,
    ) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Batches of the networks of `frame`, each once: rows of it, and weights [k, P].

        At most two windows of weights are held at a time, however large the zoo.

        Args:
            frame: Networks of one architecture, as from `select`.
            batch: Networks in a batch; the last one may be smaller.
            seed: In a random order, for instance that of an epoch by its number; None keeps the
                order of `frame`.
            verify: Compare each row with its digest.
            block: Networks side by side in `frame` that are read together when the order is random.
                With 1 every order is as likely as any other, and none depends on batch and window;
                with more (64, say) random blocks are mixed within a window, which is several times
                as fast where the disk is what limits.
            window: Bytes of weights to read at once, in the order of the disk.

        Raises:
            ValueError: a batch or a block of no networks.
            CatalogueError: no networks, or networks of several architectures.
            ShardError: a shard is damaged.
        """
        if batch < 1 or block < 1:
            raise ValueError(
                f"a batch of {batch}, a block of {block} networks; at least 1 is needed"
            )
        found = self._places(frame).batches(batch, seed, block, window, verify)
        for places, weights in found:
            whole = slice(
                places[0], places[-1] + 1
            )  # a view of neighbours, where there are only such
            yield frame.iloc[whole if seed is None else places], weights

    def layout(self, architecture: str) -> list[dict[str, Any]]:
        """The parameter layout of an architecture, as stored in its shards."""
        first = self.select(architecture, status=None, checkpoints=True)[:1]
        return self._places(first).layout

    def state_dict(self, network: str) -> dict[str, Tensor]:
        """The (fused) parameters of one network by name, float32, shaped as its layout says."""
        import torch

        found = self.frame[self.frame["network"] == network]
        if len(found) != 1:
            raise CatalogueError(f"no network {network!r} in this catalogue")
        places = self._places(found)
        flat = torch.from_numpy(places.read(np.arange(1))[0])
        return {
            entry["name"]: flat[entry["offset"] : entry["offset"] + entry["size"]]
            .reshape(entry["shape"])
            .clone()
            for entry in places.layout
        }

    def _places(self, frame: pd.DataFrame) -> Places:
        return Places(self.root, frame, self._shards)

    def _mask(self, where: Where) -> np.ndarray:
        if isinstance(where, str):
            return conditions.mask(self.frame, where)
        found = np.asarray(where(self.frame) if callable(where) else where)
        if found.dtype != bool or found.shape != (len(self.frame),):
            raise CatalogueError(
                f"`where` gave {found.dtype} {found.shape}, expected one bool for each of the "
                f"{len(self.frame)} networks of the catalogue"
            )
        return found


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()

"""Where a zoo lies, and what is in it: by its catalogue, its shards or their folder; no torch."""

from __future__ import annotations

from pathlib import Path

from lib.core.errors import InputError
from lib.core.untrusted import is_hidden, regular
from lib.zoo.store import Catalogue
from lib.zoo.store.format import SPLITS

HDF5 = b"\x89HDF\r\n\x1a\n"


class ExchangeError(InputError):
    """A network or a zoo cannot be read, written or built as asked."""


def open_zoo(path: Catalogue | str | Path) -> Catalogue:
    """The catalogue of a zoo: as it is, from its file, or over a shard or a folder of shards.

    Raises:
        ExchangeError: there is nothing at this path, or a folder without catalogue and shards.
    """
    if isinstance(path, Catalogue):
        return path
    path = Path(path)
    if path.is_dir():
        if (path / "catalogue.csv").is_file():
            return Catalogue.load(path / "catalogue.csv")
        shards = sorted(found for found in path.rglob("*.h5") if not is_hidden(found, path))
        if not shards:
            raise ExchangeError(f"{path}: holds neither catalogue.csv nor shards (*.h5)")
        return Catalogue.build(shards)
    try:
        with regular(path).open("rb") as stream:
            is_shard = stream.read(len(HDF5)) == HDF5
    except OSError as error:
        raise ExchangeError(f"{path}: no zoo there: {error.strerror}") from None
    return Catalogue.build([path]) if is_shard else Catalogue.load(path)


def zoo_files(path: str | Path) -> list[Path]:
    """The files of a zoo: its shards and, if it has one, the catalogue; errors as `open_zoo`."""
    path, zoo = Path(path), open_zoo(path)
    shards = sorted(zoo.root / shard for shard in zoo.frame["shard"].unique())
    catalogue = path / "catalogue.csv" if path.is_dir() else path
    return [*shards, *([catalogue] if catalogue.is_file() and catalogue not in shards else [])]


def healthy(zoo: Catalogue | str | Path) -> dict[str, dict[str, int]]:
    """How many healthy networks a zoo has of each architecture and split (0 where none).

    Args:
        zoo: as for `open_zoo`.

    Raises:
        ExchangeError: there is no zoo.
        CatalogueError, ShardError: a file of it is damaged.
    """
    counts = open_zoo(zoo).select().groupby(["architecture", "split"], sort=False).size()
    architectures = dict.fromkeys(counts.index.get_level_values(0))
    return {
        name: {split: int(counts.get((name, split), 0)) for split in SPLITS}
        for name in architectures
    }

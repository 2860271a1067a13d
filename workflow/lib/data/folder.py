"""Images by class, one folder per class, from a folder or an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.data.archive import DataError, Entry, entries
from lib.data.layout import Layout, Parts, laid_out
from lib.data.pictures import SUFFIXES, Picture, Pixels


class Tree(NamedTuple):
    """Pictures by split ("all" without own splits) and label, each list in the order of names."""

    classes: tuple[str, ...]
    pictures: dict[str, list[list[Picture]]]
    said: tuple[str, ...] = ()


def read_tree(path: str | Path, pixels: Pixels) -> Tree:
    """The pictures of `path`, laid out as `layout.laid_out` says; `pixels` makes small ones.

    Files that are not named like an image are left out and counted. Archives are read in one pass.

    Raises:
        DataError: no images, or what `layout.laid_out` and `archive.entries` raise.
    """
    pictures: list[Picture] = []
    seen = _Seen(path)
    for entry in seen.images():
        picture = Picture(entry.name, entry.read())
        if len(picture.content) > pixels.bytes:  # the smaller of the two is kept
            picture = Picture(entry.name, pixels.of(picture))
        pictures.append(picture)
    layout = seen.layout()
    found = {
        split: [[pictures[number] for number in own] for own in rows]
        for split, rows in layout.rows.items()
    }
    return Tree(layout.classes, found, tuple(layout.said() + seen.left_out()))


def described(path: str | Path) -> list[str]:
    """What `read_tree` will find, by names alone: classes, splits and images, what is left out.

    Raises:
        DataError: as `read_tree`, but for what is inside of the images.
    """
    seen = _Seen(path)
    for _ in seen.images():
        pass
    return seen.layout().said() + seen.left_out()


def decode(
    picture: Picture, channels: int, size: int, path: str | Path, background: str = "white"
) -> np.ndarray:
    """Pixels uint8 [channels, size, size] of one picture; see `Pixels.of`."""
    return Pixels(channels, size, path, background).of(picture)


class _Seen:
    """The names of one pass over a folder or archive."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.names: list[Parts] = []
        self.folders: set[Parts] = set()
        self.others: Counter[str] = Counter()

    def images(self) -> Iterator[Entry]:
        """The files that are images by their names."""
        for entry in entries(self.path):
            parts = tuple(part for part in entry.name.split("/") if part not in ("", "."))
            self.folders |= {parts[:depth] for depth in range(1, len(parts) + entry.is_folder)}
            if entry.is_folder:
                continue
            if entry.name.lower().endswith(SUFFIXES):
                self.names.append(parts)
                yield entry
            else:
                self.others[Path(parts[-1]).suffix.lower() or "no suffix"] += 1

    def layout(self) -> Layout:
        """How the images are laid out."""
        rest = "".join(f"; {line}" for line in self.left_out())
        if not self.names:
            raise DataError(f"{self.path} holds no images ({', '.join(SUFFIXES)}){rest}")
        try:
            return laid_out(self.path, self.names, self.folders)
        except DataError as error:
            raise DataError(f"{error}{rest}") from None

    def left_out(self) -> list[str]:
        """How many files are no images by their names, in one line; none if there are none."""
        if not self.others:
            return []
        counts = ", ".join(f"{n} {suffix}" for suffix, n in sorted(self.others.items()))
        return [
            f"{sum(self.others.values())} files that cannot be read as images left out: {counts}"
        ]

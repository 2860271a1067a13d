"""Where images come from: each source gives the same kind of raw, split images."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lib.config import Images
from lib.core.streams import Stream
from lib.data.archive import DataError

Split = tuple[np.ndarray, np.ndarray]


class Raw(NamedTuple):
    """Pixels uint8 [n, C, H, W] and labels int64 [n] of each split, before normalisation.

    said: what was recognised and what was done, a line each, for people to read.
    """

    name: str
    classes: tuple[str, ...]
    pixel_max: int
    splits: dict[str, Split]
    said: tuple[str, ...] = ()


def digits(cfg: Images, path: Path | None, stream: Stream) -> Raw:
    """scikit-learn's handwritten digits: 1,797 grey 8x8 images of values 0 to 16."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    pixels = bundle.images.astype(np.uint8)[:, None]
    labels = bundle.target.astype(np.int64)
    rows = _three_ways(labels, cfg, "digits", stream)
    splits = {split: (pixels[rows[split]], labels[rows[split]]) for split in rows}
    return Raw("digits", tuple(map(str, bundle.target_names)), 16, _limited(splits, cfg))


def cifar10(cfg: Images, path: Path, stream: Stream) -> Raw:
    """CIFAR-10 as published: the last `validation` share of the training images validates.

    With the default share of 0.2 these are the paper's 40,000 / 10,000 / 10,000 images.
    """
    from lib.data.cifar import read_cifar10

    (pixels, labels), test, classes = read_cifar10(path)
    first = len(labels) - round(cfg.validation * len(labels))
    splits = {
        "train": (pixels[:first], labels[:first]),
        "validation": (pixels[first:], labels[first:]),
        "test": test,
    }
    return Raw("cifar10", classes, 255, _limited(splits, cfg))


def folder(cfg: Images, path: Path, stream: Stream) -> Raw:
    """Images by class, classes in alphabetical order (see `lib.data.layout.laid_out`).

    Where the source has no validation images of its own, the last `validation` share of each class
    by name validates; where it has no test images, the share `test` of each class is taken at
    random; without any splits, both are. The images of a split alternate between the classes.
    """
    from lib.data.folder import read_tree
    from lib.data.pictures import Pixels

    made = Pixels(cfg.channels, cfg.size, path, cfg.background)
    classes, found, said = read_tree(path, made)
    pictures = {split: list(chain(*found[split])) for split in found}
    labels = {
        split: np.repeat(np.arange(len(classes)), list(map(len, found[split]))) for split in found
    }
    splits = {}
    for split, (source, rows) in _own_splits(labels, cfg, path, stream).items():
        chosen = _alternating(labels[source], rows, cfg.limit_per_class)
        splits[split] = made.all(pictures[source][row] for row in chosen), labels[source][chosen]
    return Raw(path.name.split(".")[0], classes, 255, splits, (*said, *made.said()))


def _own_splits(
    labels: dict[str, np.ndarray], cfg: Images, path: Path, stream: Stream
) -> dict[str, tuple[str, np.ndarray]]:
    """For each split, which split of the source it is taken from, and its rows there."""
    if "all" in labels:
        parts = _three_ways(labels["all"], cfg, path, stream)
        return {split: ("all", rows) for split, rows in parts.items()}
    rows = {split: (split, np.arange(len(own))) for split, own in labels.items()}
    kept = rows["train"][1]
    if "test" not in labels:
        kept, test = _parted(labels["train"], cfg.test, path, stream.of("test").torch())
        rows["test"] = ("train", test)
    if "validation" not in labels:
        first, last = _parted(labels["train"][kept], cfg.validation, path, None)
        rows["validation"] = ("train", kept[last])
        kept = kept[first]
    return {"train": ("train", kept), "validation": rows["validation"], "test": rows["test"]}


def tiny_imagenet(cfg: Images, path: Path, stream: Stream) -> Raw:
    """TinyImageNet as published: its validation images are the test images here.

    The last `validation` share of the training images of each class by number validates: with the
    default share of 0.2 these are the paper's 80,000 / 20,000 / 10,000 images, 100 of each class
    among the 20,000. The images of a split alternate between the classes.
    """
    from lib.data.pictures import Pixels
    from lib.data.tiny_imagenet import read_tiny_imagenet

    classes, *parts = read_tiny_imagenet(path)
    pictures = [list(chain(*part)) for part in parts]
    labels = [np.repeat(np.arange(len(classes)), [len(own) for own in part]) for part in parts]
    train, validation = _parted(labels[0], cfg.validation, path, None)
    rows = {"train": (0, train), "validation": (0, validation)}
    rows["test"] = (1, np.arange(len(labels[1])))
    splits, made = {}, Pixels(cfg.channels, cfg.size, path, cfg.background)
    for split, (part, own) in rows.items():
        chosen = _alternating(labels[part], own, cfg.limit_per_class)
        found = (pictures[part][row] for row in chosen)
        splits[split] = made.all(found), labels[part][chosen]
    return Raw("tiny-imagenet-200", classes, 255, splits, tuple(made.said()))


SOURCES: dict[str, Callable[..., Raw]] = {
    "digits": digits,
    "cifar10": cifar10,
    "tiny_imagenet": tiny_imagenet,
    "folder": folder,
}


def _three_ways(labels: np.ndarray, cfg: Images, where, stream: Stream) -> dict[str, np.ndarray]:
    """Rows of the three splits, at random within each class."""
    rest, test = _parted(labels, cfg.test, where, stream.of("test").torch())
    train, validation = _parted(
        labels[rest], cfg.validation, where, stream.of("validation").torch()
    )
    return {"train": rest[train], "validation": rest[validation], "test": test}


def _parted(
    labels: np.ndarray, share: float, where, random: torch.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows kept and rows taken: `share` of each class, by chance or (without one) the last ones."""
    taken = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if random is not None:
            rows = rows[torch.randperm(len(rows), generator=random).numpy()]
        count = max(1, round(share * len(rows)))
        if count >= len(rows):
            raise DataError(
                f"{where}: class number {label} has too few images to be split into "
                "train, validation and test"
            )
        taken[rows[-count:]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def _ranks(labels: np.ndarray) -> np.ndarray:
    """For each row, how many rows of the same label come before it."""
    ranks = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        ranks[rows] = np.arange(len(rows))
    return ranks


def _limited(splits: dict[str, Split], cfg: Images) -> dict[str, Split]:
    if cfg.limit_per_class is None:
        return splits
    kept = {split: _ranks(labels) < cfg.limit_per_class for split, (_, labels) in splits.items()}
    return {
        split: (pixels[kept[split]], labels[kept[split]])
        for split, (pixels, labels) in splits.items()
    }


def _alternating(labels: np.ndarray, rows: np.ndarray, limit: int | None) -> np.ndarray:
    ranks = _ranks(labels[rows])
    order = np.lexsort((labels[rows], ranks))
    return rows[order[: np.count_nonzero(ranks < (limit or len(ranks)))]]

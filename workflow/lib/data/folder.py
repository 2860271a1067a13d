"""Images by class, one folder per class, from a folder or an archive."""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lib.core.progress import track
from lib.data.archive import DataError, entries

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
SPLITS = {"train", "test"}
OTHER_SPLITS = {"test", "val", "valid", "validation"}
MODES = {1: "L", 3: "RGB"}

Parts = tuple[str, ...]


class Picture(NamedTuple):
    """An image file: its name, and its bytes or (where these are more) its pixels."""

    name: str
    content: bytes | np.ndarray


class Tree(NamedTuple):
    """Pictures by split ("all" without own splits) and label, each list in the order of names."""

    classes: tuple[str, ...]
    pictures: dict[str, list[list[Picture]]]


def read_tree(path: str | Path, channels: int, size: int) -> Tree:
    """The pictures of `path`, which holds `<class>/<image>` or `{train,test}/<class>/<image>`.

    Classes come in alphabetical order. A single folder around it all is looked through, and files
    that are not named like an image are left out. Archives are read in one pass.

    Raises:
        DataError: another layout, a class without images, fewer than two classes, or what
            `archive.entries` raises.
    """
    pictures: dict[Parts, Picture] = {}
    folders: set[Parts] = set()
    for entry in entries(path):
        parts = tuple(part for part in entry.name.split("/") if part not in ("", "."))
        folders |= {parts[:depth] for depth in range(1, len(parts) + entry.is_folder)}
        if entry.is_folder or not entry.name.lower().endswith(SUFFIXES):
            continue
        picture = Picture(entry.name, entry.read())
        if len(picture.content) > channels * size * size:  # the smaller of the two is kept
            picture = Picture(entry.name, decode(picture, channels, size, path))
        pictures[parts] = picture
    if not pictures:
        raise DataError(f"{path} holds no images ({', '.join(SUFFIXES)})")
    while len({name[0] for name in folders}) == 1 and all(len(name) > 2 for name in pictures):
        pictures = {name[1:]: picture for name, picture in pictures.items()}
        folders = {name[1:] for name in folders if len(name) > 1}
    return _by_class(path, pictures, folders)


def _by_class(path: str | Path, pictures: dict[Parts, Picture], folders: set[Parts]) -> Tree:
    tops = {name[0] for name in folders}
    split = tops == SPLITS and all(len(name) != 2 for name in pictures)
    if not split and "train" in tops and tops & OTHER_SPLITS:
        raise DataError(
            f"{path} holds the folders {', '.join(sorted(tops))}; expected one folder "
            "per class, or train and test with one folder per class in each"
        )
    depth = 1 if split else 0
    for name, picture in pictures.items():
        if len(name) < depth + 2:
            raise DataError(f"{path}: {picture.name} lies in no class folder")
    classes = sorted({name[depth] for name in folders if len(name) > depth})
    if len(classes) < 2:
        raise DataError(f"{path} has {len(classes)} class folder, expected at least 2")
    found: dict[Parts, list[Picture]] = defaultdict(list)
    for name in sorted(pictures):
        found[name[: depth + 1]].append(pictures[name])
    tree = {}
    for prefix in [("train",), ("test",)] if split else [()]:
        for label in classes:
            if (*prefix, label) not in found:
                raise DataError(f"{path}: class {'/'.join((*prefix, label))} has no image")
        tree[prefix[0] if prefix else "all"] = [found[*prefix, label] for label in classes]
    return Tree(tuple(classes), tree)


def decode_all(
    pictures: Iterable[Picture], channels: int, size: int, path: str | Path
) -> np.ndarray:
    """Pixels uint8 [n, channels, size, size] of pictures."""
    pictures = list(pictures)
    pixels = np.empty((len(pictures), channels, size, size), np.uint8)
    for row, picture in enumerate(track(pictures, "images")):
        pixels[row] = decode(picture, channels, size, path)
    return pixels


def decode(picture: Picture, channels: int, size: int, path: str | Path) -> np.ndarray:
    """Pixels uint8 [channels, size, size] of a picture, resized (bilinear) where need be.

    Raises:
        DataError: not an image, a damaged one, or one with more than 8 bits per channel.
    """
    if isinstance(picture.content, np.ndarray):
        return picture.content
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(picture.content), formats=FORMATS) as image:
                if image.mode[0] in "IF":
                    raise ValueError(f"pixels of mode {image.mode}, expected 8 bits per channel")
                image = image.convert(MODES[channels])
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # Pillow's decoders fail in many ways on damaged files
        raise DataError(
            f"{path}: {picture.name} is not an image that can be read: {error}"
        ) from None
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)

"""TinyImageNet as published (`tiny-imagenet-200`): its archive, or the folder it extracts to.

train/<wnid>/images/*.JPEG holds 500 images of each of 200 classes, val/images/*.JPEG another 50,
whose classes val/val_annotations.txt tells; wnids.txt lists the classes, words.txt their words.
The images of test/ have no labels and are passed by.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from lib.data.archive import DataError, Entry, entries
from lib.data.pictures import Picture

ROOT = "tiny-imagenet-200"
WNIDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val/val_annotations.txt"
IMAGE = re.compile(r"(?:train/(?P<wnid>[^/]+)|val)/images/(?P<name>[^/]+)\.JPEG", re.I)
LAYOUT = f"expected {ROOT} as published, with {WNIDS}, train/<wnid>/images and {ANNOTATIONS}"


class TinyImageNet(NamedTuple):
    """Pictures by class, of the training and of the validation images, in the order of numbers.

    classes: the first word of each, in the order of the classes' WordNet numbers.
    """

    classes: tuple[str, ...]
    train: list[list[Picture]]
    validation: list[list[Picture]]


def read_tiny_imagenet(path: str | Path) -> TinyImageNet:
    """TinyImageNet from `tiny-imagenet-200.zip` or from the folder it extracts to, in one pass.

    Raises:
        DataError: another layout, a class or image that is named in one place alone, or what
            `archive.entries` raises.
    """
    texts: dict[str, str] = {}
    train: dict[str, list[Picture]] = defaultdict(list)
    validation: dict[str, Picture] = {}
    for entry in entries(path):
        name = entry.name.strip("/").removeprefix(f"{ROOT}/")
        if entry.is_folder:
            continue
        if name in (WNIDS, WORDS, ANNOTATIONS):
            texts[name] = _text(entry, path)
        elif found := IMAGE.fullmatch(name):
            picture = Picture(name, entry.read())
            if found["wnid"]:
                train[found["wnid"]].append(picture)
            else:
                validation[name.rpartition("/")[2]] = picture
    for name in (WNIDS, ANNOTATIONS):
        if name not in texts:
            raise DataError(f"{path}: {name} is missing; {LAYOUT}")
    wnids = sorted(texts[WNIDS].split())
    if len(wnids) < 2 or len(set(wnids)) < len(wnids):
        raise DataError(f"{path}: {WNIDS} has to name at least 2 classes, each once")
    if odd := sorted(set(train) ^ set(wnids)):
        raise DataError(f"{path}: class {odd[0]} is not in both of {WNIDS} and train/; {LAYOUT}")
    labelled: dict[str, list[Picture]] = {wnid: [] for wnid in wnids}
    for number, line in enumerate(texts[ANNOTATIONS].splitlines(), 1):
        name, wnid = ([*line.split("\t"), "", ""])[:2]
        if name not in validation or wnid not in labelled:
            raise DataError(
                f"{path}: {ANNOTATIONS}, line {number}: expected the name of an image in "
                "val/images and a class, with a tab between, each image once"
            )
        labelled[wnid].append(validation.pop(name))
    if validation:
        raise DataError(f"{path}: {ANNOTATIONS} does not name {sorted(validation)[0]}")
    return TinyImageNet(
        _words(wnids, texts.get(WORDS, "")),
        [sorted(train[wnid], key=_number) for wnid in wnids],
        [sorted(labelled[wnid], key=_number) for wnid in wnids],
    )


def _text(entry: Entry, path: str | Path) -> str:
    try:
        return entry.read().decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {entry.name} is not text: {error}") from None


def _words(wnids: list[str], text: str) -> tuple[str, ...]:
    """The first word of each class; its number stays where there is none or another has it too."""
    words = dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    first = [words.get(wnid, "").split(",")[0].strip() or wnid for wnid in wnids]
    return tuple(
        word if first.count(word) == 1 else f"{word} ({wnid})"
        for word, wnid in zip(first, wnids, strict=True)
    )


def _number(picture: Picture) -> tuple[int, str]:
    """By the number in a name, then by the name: n01443537_9 before n01443537_10."""
    digits = re.search(r"_(\d{1,9})\.", picture.name)
    return int(digits[1]) if digits else -1, picture.name

"""How a folder of images by class is laid out: which folders are splits and which are classes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lib.data.archive import DataError

Parts = tuple[str, ...]

SPLITS = ("train", "validation", "test")
KIND = "(set|data|dataset|images?|imgs?|pics|files|split|folder)?"
WORDS = {
    "train": re.compile(f"train(ing)?(val)?{KIND}"),
    "validation": re.compile(f"val(id(ation|ate)?)?{KIND}|dev(elopment)?{KIND}"),
    "test": re.compile(f"test(ing|s)?{KIND}"),
}
USUAL = (
    "expected one folder per class, or folders train, test and (if you have one) val, with one "
    "folder per class in each"
)


class Layout(NamedTuple):
    """Classes, and by split ("all" without own splits) and label the numbers of the files.

    `folders` are those that the splits were recognised by.
    """

    classes: tuple[str, ...]
    rows: dict[str, list[list[int]]]
    folders: dict[str, str]

    def said(self) -> list[str]:
        """What was recognised, a line for each split, with its images by class."""
        lines = []
        for split, rows in self.rows.items():
            counts = Counter(map(len, rows))
            where = (
                f"{split} images (folder {self.folders[split]})"
                if split in self.folders
                else ("images without splits of their own")
            )
            each = (
                f"{len(rows[0])} of each class"
                if len(counts) == 1
                else ", ".join(f"{n} {name}" for n, name in _first(map(len, rows), self.classes))
            )
            lines.append(f"{where}: {sum(map(len, rows))}, {each}")
        names = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
        return [f"{len(self.classes)} classes: {names}", *lines]


def split_of(name: str) -> str | None:
    """Which split a folder of this name would be, in any case and with what else is around it.

    `seg_train`, `TrainingSet`, `imgs-val`, `Testing`, `train2017` and their like; None of a name
    with none of these words, or with those of two splits.
    """
    words = re.split(r"[\W\d_]+|(?<=[^\W\d_])(?<![A-Z])(?=[A-Z])", name)
    found = {split for word in words for split in SPLITS if WORDS[split].fullmatch(word.casefold())}
    return found.pop() if len(found) == 1 else None


def laid_out(path: str | Path, names: Sequence[Parts], folders: set[Parts]) -> Layout:
    """The layout of images `names` in `folders`: `<class>/<image>`, `<split>/<class>/<image>`, or
    `<class>/<split>/<image>`.

    Classes come in alphabetical order. A single folder around it all, or around all of a split, is
    looked through.

    Raises:
        DataError: another layout, folders that look like splits but cannot be told apart, a class
            without images in one of the splits, or fewer than two classes.
    """
    files = {number: name for number, name in enumerate(names)}
    files, folders = _unwrapped(files, folders)
    splits = _splits(path, files, folders)
    if not splits and (turned := _turned(path, files, folders)):
        files, folders, splits = turned
    parts = {"all": (files, folders)}
    if splits:
        parts = {split: _unwrapped(*_below(files, folders, top)) for split, top in splits.items()}
    where = {split: f"{top}/" for split, top in splits.items()} | {"all": ""}
    for own, _ in parts.values():
        for number, name in own.items():
            if len(name) < 2:
                raise DataError(
                    f"{path}: {'/'.join(names[number])} lies in no class folder; {USUAL}"
                )
    classes = sorted({name[0] for _, inner in parts.values() for name in inner})
    if len(classes) < 2:
        raise DataError(f"{path} has {len(classes)} class folder, expected at least 2")
    rows = {}
    for split, (own, _) in parts.items():
        found: dict[str, list[int]] = defaultdict(list)
        for number in sorted(own, key=lambda number: (own[number], number)):
            found[own[number][0]].append(number)
        if missing := [label for label in classes if label not in found]:
            raise DataError(
                f"{path}: class {where[split]}{missing[0]} has no image; every class needs some "
                "in each split"
            )
        rows[split] = [found[label] for label in classes]
    return Layout(tuple(classes), rows, splits)


def _splits(path: str | Path, files: Mapping[int, Parts], folders: set[Parts]) -> dict[str, str]:
    """The folder of each split, if the outermost folders are splits."""
    tops = sorted({name[0] for name in folders})
    looks = {top: split for top in tops if (split := split_of(top))}
    kinds = Counter(looks.values())
    shown = ", ".join(tops[:12]) + (", ..." if len(tops) > 12 else "")
    advice = "rename the folders, or give the one that holds the classes as the path"
    if len(kinds) < 2:
        if odd := _one_of_many(looks, files):
            raise DataError(
                f"{path} holds the folders {shown}: {odd} look like splits that cannot be told "
                f"apart; {USUAL}; {advice}"
            )
        return {}
    used = {name[0] for name in files.values()}
    if others := [top for top in tops if top not in looks and top in used]:
        raise DataError(
            f"{path} holds the folders {shown}: {', '.join(looks)} look like splits, "
            f"{others[0]} does not; {USUAL}; {advice}"
        )
    if twice := [split for split, count in kinds.items() if count > 1]:
        same = [top for top in looks if looks[top] == twice[0]]
        raise DataError(
            f"{path}: the folders {' and '.join(same)} both look like the {twice[0]} split; "
            f"{USUAL}; {advice}"
        )
    if "train" not in kinds:
        raise DataError(
            f"{path} holds the folders {shown}, which look like splits, but none to train on; "
            f"{USUAL}; {advice}"
        )
    for name in files.values():
        if len(name) == 1:
            raise DataError(f"{path}: {name[0]} lies in no class folder; {USUAL}")
        if len(name) == 2:
            raise DataError(
                f"{path} holds the folders {shown}: {name[0]} looks like the {looks[name[0]]} "
                f"split, but {'/'.join(name)} lies in no class folder inside; {USUAL}. If these "
                f"images have no classes, leave {name[0]} away"
            )
    return {split: top for split in SPLITS for top in looks if looks[top] == split}


def _one_of_many(looks: Mapping[str, str], files: Mapping[int, Parts]) -> str:
    """Folders that look like the same split, or like one beside others, and have classes inside.

    None, and an empty text, if they are classes themselves: one may be called train.
    """
    inner: dict[str, set[str]] = defaultdict(set)
    for name in files.values():
        inner[name[0]].add(name[1] if len(name) > 2 else "")
    for top in looks:
        for other in inner:
            if other != top and len((inner[top] & inner[other]) - {""}) > 1:
                return f"{top} and {other}"
        flat = [other for other in inner if other != top and inner[other] == {""}]
        if flat and len(inner[top] - {""}) > 1 and "" not in inner[top]:
            return f"{top} and {flat[0]}"
    return ""


def _turned(
    path: str | Path, files: Mapping[int, Parts], folders: set[Parts]
) -> tuple[dict[int, Parts], set[Parts], dict[str, str]] | None:
    """Files and folders with the splits outside, where each class has a folder for each split."""
    inner: dict[str, set[str]] = defaultdict(set)
    for name in files.values():
        inner[name[0]].add(name[1] if len(name) > 2 else "")
    kinds = {split_of(word) for words in inner.values() for word in words}
    if len(inner) < 2 or None in kinds or len(kinds) < 2:
        return None
    swapped = {number: (name[1], name[0], *name[2:]) for number, name in files.items()}
    around = {parts[:depth] for parts in swapped.values() for depth in range(1, len(parts))}
    return swapped, around, _splits(path, swapped, around)


def _below(
    files: Mapping[int, Parts], folders: set[Parts], top: str
) -> tuple[dict[int, Parts], set[Parts]]:
    return (
        {number: name[1:] for number, name in files.items() if name[0] == top},
        {name[1:] for name in folders if name[0] == top and len(name) > 1},
    )


def _unwrapped(
    files: Mapping[int, Parts], folders: set[Parts]
) -> tuple[dict[int, Parts], set[Parts]]:
    """Without single folders around everything."""
    while len({name[0] for name in folders}) == 1 and all(len(name) > 2 for name in files.values()):
        files = {number: name[1:] for number, name in files.items()}
        folders = {name[1:] for name in folders if len(name) > 1}
    return dict(files), folders


def _first(counts, names: Sequence[str], most: int = 10) -> list[tuple[object, str]]:
    """Counts and names, no more than a line holds."""
    pairs = list(zip(counts, names, strict=True))
    return pairs[:most] + ([("...", "")] if len(pairs) > most else [])

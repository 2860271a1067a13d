"""TinyImageNet as published: its layout, rebuilt small, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_sources import COLOR, png, prepared, refused, written, zipped
from lib.data.images import SPLITS

WNIDS = ("n01443537", "n02124075", "n01629819")
WORDS = {"n01443537": "goldfish, Carassius auratus", "n02124075": "cat", "n01629819": "cat, tom"}
TINY = {**COLOR, "source": "tiny_imagenet", "size": 64}


def tiny_imagenet(train: int = 10, validation: int = 2) -> dict[str, bytes]:
    """Every image of one value, which tells its class (tens) and its number (ones)."""
    files = {"wnids.txt": "".join(f"{wnid}\n" for wnid in WNIDS).encode()}
    files["words.txt"] = "".join(f"{wnid}\t{word}\n" for wnid, word in WORDS.items()).encode()
    lines = []
    for place, wnid in enumerate(sorted(WNIDS)):
        for k in range(train):
            files[f"train/{wnid}/images/{wnid}_{k}.JPEG"] = png(10 * place + k, 64)
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"x\t0\t0\t1\t1\n"
        for k in range(validation):
            name = f"val_{place + len(WNIDS) * k}.JPEG"
            files[f"val/images/{name}"] = png(100 + 10 * place + k, 64, "RGB")
            lines.append(f"{name}\t{wnid}\t0\t0\t62\t62\n")
    files["val/val_annotations.txt"] = "".join(reversed(lines)).encode()
    files["test/images/test_0.JPEG"] = b"not looked at"
    return files


def numbers(split) -> list[int]:
    return (split.x[:, 0, 0, 0] * 0.25 * 255 + 0.5 * 255).round().int().tolist()


def packed_tiny(path: Path, files: dict[str, bytes]) -> Path:
    return zipped(path, {f"tiny-imagenet-200/{name}": data for name, data in files.items()})


def test_tiny_imagenet_from_archive_and_from_folder(tmp_path):
    files = tiny_imagenet()
    archive = packed_tiny(tmp_path / "tiny-imagenet-200.zip", files)
    splits = prepared(tmp_path / "a", path=str(archive), **TINY)
    # The classes go by their numbers; the last fifth of each, 9 before 10, validates.
    assert splits["train"].classes == ("goldfish", "cat (n01629819)", "cat (n02124075)")
    assert numbers(splits["train"]) == [10 * label + k for k in range(8) for label in range(3)]
    assert numbers(splits["validation"]) == [10 * label + k for k in (8, 9) for label in range(3)]
    assert numbers(splits["test"]) == [100 + 10 * label + k for k in range(2) for label in range(3)]
    for split in splits.values():
        assert split.x.shape[1:] == (3, 64, 64) and split.y.tolist()[:3] == [0, 1, 2]
    again = prepared(tmp_path / "b", path=str(written(tmp_path / "folder", files)), **TINY)
    assert {s: again[s].digest for s in again} == {s: splits[s].digest for s in splits}
    few = prepared(tmp_path / "c", path=str(archive), limit_per_class=1, **TINY)
    assert [numbers(few[split]) for split in SPLITS] == [[0, 10, 20], [8, 18, 28], [100, 110, 120]]


def test_numbers_of_tiny_imagenet_are_no_words(tmp_path):
    files = tiny_imagenet(train=15)
    splits = prepared(tmp_path, path=str(packed_tiny(tmp_path / "t.zip", files)), **TINY)
    assert numbers(splits["validation"])[::3] == [12, 13, 14]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("wnids.txt"), "wnids.txt is missing; expected tiny-imagenet-200"),
        (lambda f: f.pop("val/val_annotations.txt"), "val/val_annotations.txt is missing"),
        (lambda f: f.update({"wnids.txt": b"n1\n"}), "has to name at least 2 classes"),
        (
            lambda f: f.update({"wnids.txt": f["wnids.txt"] + b"n09\n"}),
            "class n09 is not in both of wnids.txt and train/",
        ),
        (
            lambda f: f.pop("val/images/val_0.JPEG"),
            "val_annotations.txt, line 6: expected the name",
        ),
        (
            lambda f: f.update({"val/images/val_9.JPEG": png(1, 64)}),
            "val_annotations.txt does not name val_9.JPEG",
        ),
        (
            lambda f: f.update({"val/val_annotations.txt": b"val_0.JPEG n01443537\n"}),
            "val_annotations.txt, line 1: expected the name",
        ),
        (
            lambda f: f.update({"val/val_annotations.txt": b"\xff\xfe"}),
            "val/val_annotations.txt is not text",
        ),
        (
            lambda f: f.update({"train/n01443537/images/n01443537_3.JPEG": b"no image"}),
            "n01443537_3.JPEG is not an image that can be read",
        ),
    ],
)
def test_what_is_no_tiny_imagenet_is_refused(tmp_path, change, message):
    files = tiny_imagenet()
    change(files)
    refused(message, tmp_path / "out", path=str(packed_tiny(tmp_path / "t.zip", files)), **TINY)

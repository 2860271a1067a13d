"""Small sources of images for tests: CIFAR-10 as published, and pictures by class."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.config import Images
from lib.core.errors import InputError
from lib.core.streams import Stream
from lib.data.images import SPLITS, load_split, prepare

COLOR = {"size": 32, "channels": 3, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
GREY = {"source": "folder", "size": 8, "mean": (0.0,), "std": (1.0,)}


def targets(folder: Path) -> dict[str, Path]:
    return {split: folder / f"{split}.h5" for split in SPLITS}


def prepared(folder: Path, seed: int = 0, **settings):
    out = targets(folder)
    prepare(Images(**settings), Stream("images", seed), out)
    return {split: load_split(path) for split, path in out.items()}


def refused(message: str, folder: Path, **settings) -> None:
    with pytest.raises(InputError, match=message):
        prepare(Images(**settings), Stream("images", 0), targets(folder))
    assert not any(path.exists() for path in targets(folder).values())


# CIFAR-10 as published: Python 2 pickles, written here opcode by opcode


def py2(value) -> bytes:
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"(" + b"".join(map(py2, value)) + b"l"
    if isinstance(value, dict):
        return b"(" + b"".join(py2(k) + py2(v) for k, v in value.items()) + b"d"
    code = value.dtype.str[1:].encode()
    dtype = (
        b"cnumpy\ndtype\n("
        + py2(code)
        + py2(0)
        + py2(1)
        + b"tR("
        + py2(3)
        + py2(b"|")
        + b"NNN"
        + py2(-1)
        + py2(-1)
        + py2(0)
        + b"tb"
    )
    shape = b"(" + b"".join(map(py2, value.shape)) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n("
        + py2(0)
        + b"t"
        + py2(b"b")
        + b"tR("
        + py2(1)
        + shape
        + dtype
        + b"\x89"
        + py2(value.tobytes())
        + b"tb"
    )


def dumped(value) -> bytes:
    return b"\x80\x02" + py2(value) + b"."


NAMES = [
    b"airplane",
    b"automobile",
    b"bird",
    b"cat",
    b"deer",
    b"dog",
    b"frog",
    b"horse",
    b"ship",
    b"truck",
]


def cifar_files(per_batch: int = 10) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {
        "batches.meta": dumped(
            {b"num_cases_per_batch": per_batch, b"label_names": NAMES, b"num_vis": 3072}
        )
    }
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        data = rng.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        labels = [(3 * row + 1) % 10 for row in range(per_batch)]
        files[name] = dumped(
            {
                b"batch_label": b"batch",
                b"labels": labels,
                b"data": data,
                b"filenames": [b"x.png"] * per_batch,
            }
        )
    files["readme.html"] = b"<html>"
    return files


def tar(path: Path, files: dict[str, bytes], mode: str = "w:gz", prefix: str = "") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def cifar_archive(folder: Path, **changes: bytes) -> Path:
    return tar(
        folder / "cifar-10-python.tar.gz",
        {**cifar_files(), **changes},
        prefix="cifar-10-batches-py/",
    )


CIFAR = {"source": "cifar10", **COLOR}


# pictures by class


def png(value: int, size: int = 8, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    color = value if mode in ("L", "I;16") else (value, 0, 0)
    Image.new(mode, (size, size), color).save(stream, "png")
    return stream.getvalue()


def tree(train: int = 10, test: int = 3) -> dict[str, bytes]:
    """Classes dog and cat; the value of an image tells its split, class and number."""
    files = {}
    for split, count, base in (("train", train, 0), ("test", test, 200)):
        for label, name in ((100, "dog"), (20, "cat")):
            for number in reversed(range(count)):
                value = (base + label // 10 + number) if split == "test" else label + number
                files[f"{split}/{name}/{number:03}.png"] = png(value)
    return files


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def values(split) -> list[int]:
    return (split.x[:, 0, 0, 0] * 255).round().int().tolist()

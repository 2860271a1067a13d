"""Small shards for the tests of the store: made, compared, damaged and forged."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from lib.zoo.store import Shard, read_header, write_shard
from lib.zoo.store import format as shard_format

LAYOUT = [
    ("conv.weight", (4, 1, 3, 3), "conv"),
    ("conv.bias", (4,), "conv"),
    ("fc.weight", (3, 16), "linear"),
    ("fc.bias", (3,), "linear"),
]
SPLITS = ("train", "validation", "test")


def layout_of(entries):
    layout, offset = [], 0
    for name, shape, kind in entries:
        size = math.prod(shape)
        layout.append(
            {"name": name, "shape": list(shape), "kind": kind, "offset": offset, "size": size}
        )
        offset += size
    return layout


def make(n=6, first=0, architecture="ResNet8", layout=None, diverged=(), seed=0, batch_norm=True):
    """A small shard of instances first ... first + n - 1; `diverged` are instance numbers."""
    layout = layout or layout_of(LAYOUT)
    numbers = np.arange(first, first + n)
    weights = np.stack(
        [
            np.random.default_rng([seed, number]).normal(
                size=layout[-1]["offset"] + layout[-1]["size"]
            )
            for number in numbers
        ]
    ).astype("float32")
    status = ["diverged" if number in diverged else "ok" for number in numbers]
    weights[[one == "diverged" for one in status]] = np.nan
    table = pd.DataFrame(
        {
            "network": [f"{architecture}-{number:04d}" for number in numbers],
            "architecture": architecture,
            "instance": numbers,
            "split": [SPLITS[number % 3] for number in numbers],
            "seed": numbers * 7 + 2**62,
            "status": status,
            "epochs": 20,
            "selected_epoch": 18,
            "learning_rate": numbers * 1e-3 + 0.1,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "batch_size": 32,
            "train_loss": 0.1,
            "train_accuracy": 0.99,
            "validation_loss": [math.nan if one == "diverged" else 0.2 for one in status],
            "validation_accuracy": 0.97,
            "note": [f'é{number}, "x"' for number in numbers],
        }
    )
    tensors = (
        {
            name: np.full((n, 4), value, "float32")
            for name, value in (("bn.weight", 1.0), ("bn.running_var", 2.0))
        }
        if batch_norm
        else {}
    )
    return Shard(architecture, layout, weights, table, tensors, {"images": "abc", "torch": "2.13"})


def same(one: Shard, other: Shard, rows=None):
    rows = np.arange(len(one.instances)) if rows is None else np.asarray(rows, int)
    assert one.architecture == other.architecture
    assert one.layout == other.layout
    assert one.provenance == other.provenance
    np.testing.assert_array_equal(one.weights[rows].view("u4"), other.weights.view("u4"))
    assert list(one.batch_norm) == list(other.batch_norm)
    for name, tensor in one.batch_norm.items():
        np.testing.assert_array_equal(tensor[rows].view("u4"), other.batch_norm[name].view("u4"))
    pd.testing.assert_frame_equal(one.instances.iloc[rows].reset_index(drop=True), other.instances)


def flip(path: Path, name: str, row: int = 0):
    """Flip one bit of a row of a dataset, in place."""
    block = read_header(path).blocks[name]
    place = block.offset + row * block.row_bytes
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def forge(path, edit, shard=None, resign=True):
    """Write a shard, edit the open file, and give it the digests that fit, as a forger would."""
    write_shard(path, shard or make())
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        edit(file)
        if resign and "version" in file.attrs:
            _resign(file)


def _resign(file):
    texts, blocks = {}, {}
    groups = [name for name in file if isinstance(hard(file, name), h5py.Group)]
    for where, holder in (("", file), *((f"{name}/", file[name]) for name in groups)):
        texts |= {where + name: np.bytes_(value).decode() for name, value in holder.attrs.items()}
        for name in holder:
            data = hard(holder, name)
            if not isinstance(data, h5py.Dataset) or not data.id.get_storage_size():
                continue
            values = data[()]
            if values.dtype.kind in "iufS":
                sha = shard_format.array_sha256(np.ascontiguousarray(values))
                data.attrs["sha256"] = np.bytes_(sha)
                blocks[where + name] = shard_format.Block(values.dtype.str, values.shape, 0, sha)
    digest = shard_format.content_sha256(texts["version"], texts, blocks)
    file.attrs["sha256"] = np.bytes_(digest)


def hard(holder, name):
    """The member of a group that a hard link leads to, else None."""
    link = holder.get(name, getlink=True)
    return holder[name] if isinstance(link, h5py.HardLink) else None

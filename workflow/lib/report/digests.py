"""Digests of what a study made, by content: raw array bytes, tables, pages without run facts.

Where networks lie (which shard, which row) is not content, so the cut into shards does not show.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import load_file

from lib.core.errors import InputError
from lib.core.repro import digest_arrays
from lib.report.page import without_run
from lib.zoo.store import read_shard

LOCATION = ("shard", "row")


def content_digest(path: str | Path) -> str:
    """SHA-256 (hex) of the content of a table, tensor file, HDF5 file or page.

    Raises:
        InputError: a kind of file this study does not make.
    """
    path = Path(path)
    if path.suffix == ".csv":
        return _text(_table(path))
    if path.suffix == ".html":
        return _text(without_run(path.read_text()))
    if path.suffix == ".safetensors":
        return digest_arrays(load_file(path))
    if path.suffix == ".h5":
        with h5py.File(path, locking=False) as file:
            return digest_arrays(_hdf5(file))
    raise InputError(f"{path}: no content digest for files of this kind")


def zoo_digest(shards: Iterable[str | Path]) -> str:
    """Digest of all networks in some shards of one architecture, however they are cut."""
    networks = {}
    for path in shards:
        shard = read_shard(path)
        for row, name in enumerate(shard.instances["network"]):
            arrays = {
                "weights": shard.weights[row],
                **{f"batch_norm/{k}": v[row] for k, v in shard.batch_norm.items()},
            }
            networks[name] = digest_arrays(arrays)
    return _text("".join(f"{name} {networks[name]}\n" for name in sorted(networks)))


def study_digests(
    root: str | Path, files: Iterable[str | Path], shards: Iterable[str | Path]
) -> dict[str, str]:
    """Content digest of every artefact by its path below `root`; a zoo counts as one artefact."""
    found = {_below(path, root): content_digest(path) for path in files}
    folders: dict[Path, list[Path]] = {}
    for path in map(Path, shards):
        folders.setdefault(path.parent, []).append(path)
    found |= {_below(folder, root): zoo_digest(paths) for folder, paths in folders.items()}
    return dict(sorted(found.items()))


def _below(path: str | Path, root: str | Path) -> str:
    return Path(path).absolute().relative_to(Path(root).absolute()).as_posix()


def _table(path: Path) -> str:
    with open(path, newline="") as stream:
        rows = list(csv.reader(stream))
    keep = [k for k, name in enumerate(rows[0]) if name not in LOCATION] if rows else []
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([row[k] for k in keep] for row in rows)
    return text.getvalue()


def _hdf5(file: h5py.File) -> dict[str, np.ndarray]:
    """All datasets by path, and all attributes as `path@name`."""
    arrays: dict[str, np.ndarray] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]
        arrays.update({f"{name}@{key}": np.asarray(value) for key, value in item.attrs.items()})

    add("", file)
    file.visititems(add)
    return arrays


def _text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""The committed shard of version 1.0: every later version reads it, and so does a stranger."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.zoo.store import Catalogue, ShardError, read_header, read_shard, verify, write_shard
from shards import flip, forge, make

REFERENCE = Path(__file__).parents[2] / "data" / "zoo-v1.h5"
FILE = "9fca88a4378b9664f3bf1d33146ed8fa697660c8339e089cd3d1faaa2e25b553"
CONTENT = "9120869afd5f3024fce7234f15a7e482aaf5c33840e92b532e7d24eb9ae8387a"
LAYOUT = [
    {"name": "conv.weight", "shape": [2, 1, 2, 2], "kind": "conv", "offset": 0, "size": 8},
    {"name": "conv.bias", "shape": [2], "kind": "conv", "offset": 8, "size": 2},
    {"name": "fc.weight", "shape": [3, 2], "kind": "linear", "offset": 10, "size": 6},
    {"name": "fc.bias", "shape": [3], "kind": "linear", "offset": 16, "size": 3},
]
COLUMNS = {
    "network": ["Tiny-0000", "Tiny-0001", "Tiny-0002", "Tiny-0003", "Tiny-0003.checkpoint-2"],
    "architecture": ["Tiny"] * 5,
    "instance": [0, 1, 2, 3, 3],
    "split": ["test", "validation", "train", "train", "train"],
    "seed": [0, 1, 2**63 - 1, 3, 3],
    "status": ["ok", "ok", "diverged", "ok", "ok"],
    "checkpoint_epoch": [-1, -1, -1, -1, 2],
    "epochs": [5, 5, 5, 9, 9],
    "selected_epoch": [4, 3, -1, 8, 1],
    "diverged_epoch": [-1, -1, 0, -1, -1],
    "learning_rate": [0.1, 0.05, 1e300, 5e-324, 5e-324],
    "validation_loss": [0.25, 1 / 3, math.nan, 2.0, -0.0],
    "note": ["", "naïve", 'Ελλάδα, "quoted"\n', "网络 🧠", "é"],
}
PROVENANCE = {"made": "for the tests", "who": "Zoë"}
ARGUMENTS = {"channels": 1, "size": 3, "classes": 3}


def expected_arrays() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Weights [5, 19] and raw batch-norm tensors [5, 2] of the reference, all exact in float32."""
    weights = ((np.arange(5)[:, None] * 17 + np.arange(19) * 31) % 101 - 50) / 64
    weights[2] = math.nan
    weights[2, 0] = math.inf
    count = np.arange(10).reshape(5, 2)
    tensors = {
        "norm.weight": 1 + count / 8,
        "norm.bias": -count / 4,
        "norm.running_mean": count / 16,
        "norm.running_var": 1 + count / 2,
    }
    tensors["norm.running_var"][2] = -math.inf
    return weights.astype("float32"), {k: v.astype("float32") for k, v in tensors.items()}


def test_the_reference_is_the_file_it_was():
    assert hashlib.sha256(REFERENCE.read_bytes()).hexdigest() == FILE


def test_the_reference_is_read_exactly():
    assert verify(REFERENCE) == []
    shard, header = read_shard(REFERENCE), read_header(REFERENCE)
    weights, tensors = expected_arrays()
    np.testing.assert_array_equal(shard.weights, weights)
    assert list(shard.batch_norm) == list(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(shard.batch_norm[name], tensor)
    pd.testing.assert_frame_equal(shard.instances, pd.DataFrame(COLUMNS), check_exact=True)
    assert math.copysign(1, shard.instances["validation_loss"][4]) == -1
    assert (shard.architecture, shard.layout) == ("Tiny", LAYOUT)
    assert (shard.arguments, shard.provenance) == (ARGUMENTS, PROVENANCE)
    assert (header.version, header.sha256) == ("1.0", CONTENT)


def test_the_reference_in_a_catalogue(tmp_path):
    Catalogue.build([REFERENCE]).save(tmp_path / "catalogue.csv")
    catalogue = Catalogue.load(tmp_path / "catalogue.csv")
    assert list(catalogue.select()["network"]) == ["Tiny-0000", "Tiny-0001", "Tiny-0003"]
    assert len(catalogue.select(checkpoints=True)) == 4
    assert list(catalogue.select(status="diverged")["diverged_epoch"]) == [0]
    assert set(catalogue.frame["note"]) == set(COLUMNS["note"])


def test_the_reference_written_again_says_the_same(tmp_path):
    write_shard(tmp_path / "again.h5", read_shard(REFERENCE))
    assert read_header(tmp_path / "again.h5").sha256 == CONTENT


# A reader by a stranger, who has FORMAT.md, h5py and numpy, and nothing of this project.

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")
REQUIRED = ("type", "version", "architecture", "arguments", "layout", "provenance", "sha256")


def attribute(item, name):
    kind = h5py.h5a.open(item.id, name.encode()).get_type()
    assert isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
    return bytes(item.attrs[name])


def stranger(path) -> dict:
    """Everything in a shard of version 1.x, checked by FORMAT.md; AssertionError if it is none."""
    head = path.read_bytes()[:48]
    assert head[:8] == b"\x89HDF\r\n\x1a\n" and head[8] in (2, 3) and head[9:11] == b"\x08\x08"
    base, _, end = struct.unpack("<QQQ", head[12:36])
    assert (base, end) == (0, path.stat().st_size)  # section 1
    texts, types, arrays = {}, {}, {}
    with h5py.File(path, "r") as file:
        groups = {"": file} | {name: file[name] for name in file if hasattr(file[name], "keys")}
        for group, holder in groups.items():
            where = f"{group}/" if group else ""
            texts |= {where + name: attribute(holder, name) for name in holder.attrs}
            for name in holder:
                assert isinstance(holder.get(name, getlink=True), h5py.HardLink)
                assert NAME.fullmatch(name)
                if isinstance(holder[name], h5py.Dataset):
                    data = holder[name]
                    assert data.chunks is None and not data.external and not data.is_virtual
                    assert list(data.attrs) == ["sha256"] and 0 not in data.shape and data.shape
                    raw = np.fromfile(path, "u1", data.nbytes, offset=data.id.get_offset())
                    said = attribute(data, "sha256").decode()
                    assert hashlib.sha256(raw).hexdigest() == said
                    size = data.id.get_type().get_size()
                    kinds = {"float32": "<f4", "float64": "<f8", "int64": "<i8", "uint8": "|u1"}
                    kind = kinds.get(data.dtype.name, f"|S{size}")
                    arrays[where + name] = raw.view(kind).reshape(data.shape)
                    shape = "x".join(map(str, data.shape))
                    types[where + name] = f"dataset {where}{name} {kind} {shape} {said}"
    assert all(name in texts for name in REQUIRED)  # section 2
    assert texts["type"] == b"netspace-shard" and texts["version"].startswith(b"1.")
    lines = [  # section 6
        f"attribute {name} {hashlib.sha256(text).hexdigest()}"
        for name, text in texts.items()
        if name not in ("type", "version", "sha256")
    ]
    lines = [f"netspace-shard {texts['version'].decode()}", *sorted([*lines, *types.values()])]
    content = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    assert content == texts["sha256"].decode()
    layout, offset = json.loads(texts["layout"]), 0  # section 3
    for entry in layout:
        assert set(entry) == {"name", "shape", "kind", "offset", "size"}
        assert (entry["offset"], entry["size"]) == (offset, math.prod(entry["shape"]))
        offset += entry["size"]
    weights, n = arrays["weights"], len(arrays["weights"])  # section 4
    assert weights.shape == (n, offset) and weights.dtype == "<f4"
    rows = [hashlib.sha256(row.tobytes()).digest() for row in weights]
    assert arrays["weights_sha256"].tobytes() == b"".join(rows)
    found = {"layout": layout, "weights": weights, "sha256": content}
    for group in ("instances", "batch_norm"):
        order = json.loads(texts[f"{group}/order"])
        members = [name.split("/")[1] for name in arrays if name.startswith(f"{group}/")]
        assert sorted(order) == sorted(members)
        found[group] = {name: arrays[f"{group}/{name}"] for name in order}
        assert all(len(array) == n for array in found[group].values())
    status = found["instances"]["status"]  # section 5
    assert set(status) <= {b"ok", b"diverged"}
    assert all(np.isfinite(a[status == b"ok"]).all() for a in found["batch_norm"].values())
    assert np.isfinite(weights[status == b"ok"]).all()
    for name in ("architecture", "arguments", "provenance"):
        found[name] = texts[name].decode()
    return found


def test_a_stranger_reads_the_reference():
    found = stranger(REFERENCE)
    weights, tensors = expected_arrays()
    assert (found["architecture"], found["layout"], found["sha256"]) == ("Tiny", LAYOUT, CONTENT)
    assert json.loads(found["arguments"]) == ARGUMENTS
    assert json.loads(found["provenance"]) == PROVENANCE
    np.testing.assert_array_equal(found["weights"], weights)
    assert list(found["batch_norm"]) == list(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found["batch_norm"][name], tensor)
    assert list(found["instances"]) == list(COLUMNS)
    for name, values in COLUMNS.items():
        column = found["instances"][name]
        if column.dtype.kind == "S":
            assert [text.decode() for text in column.tolist()] == values
        else:
            np.testing.assert_array_equal(column, values)


def test_a_stranger_reads_what_is_written_and_sees_damage(tmp_path):
    path = tmp_path / "shard.h5"
    write_shard(path, make(diverged={2}))
    found = stranger(path)
    assert found["sha256"] == read_header(path).sha256
    np.testing.assert_array_equal(found["weights"], make(diverged={2}).weights)
    flip(path, "instances/momentum", 3)
    with pytest.raises(AssertionError):
        stranger(path)


# Versions to come


def minor(number, edit=lambda file: None):
    def apply(file):
        file.attrs["version"] = np.bytes_(f"1.{number}")
        edit(file)

    return apply


def additions(file):
    file.attrs["licence"] = np.bytes_("MIT")
    file["instances"].attrs["units"] = np.bytes_("{}")
    file["extra"] = np.arange(4)
    file.create_group("curves")["loss"] = np.ones((6, 3), "float32")
    file["curves"].attrs["order"] = np.bytes_('["loss"]')
    for name in ("extra", "curves/loss"):
        file[name].attrs["sha256"] = np.bytes_(hashlib.sha256(file[name][()]).hexdigest())


def test_a_later_minor_version_is_read_and_still_checked(tmp_path):
    path = tmp_path / "later.h5"
    forge(path, minor(7, additions))
    assert verify(path) == []
    later = read_shard(path)
    np.testing.assert_array_equal(later.weights, make().weights)
    assert stranger(path)["sha256"] == read_header(path).sha256
    assert read_header(path).version == "1.7"
    flip(path, "curves/loss")
    assert any("dataset 'curves/loss': damaged" in line for line in verify(path))
    np.testing.assert_array_equal(read_shard(path).weights, later.weights)


def test_additions_are_covered_by_the_content_digest(tmp_path):
    path = tmp_path / "later.h5"
    forge(path, minor(7, additions))
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        file.attrs["licence"] = np.bytes_("BSD")
    assert any("'sha256' does not fit the header" in line for line in verify(path))


@pytest.mark.parametrize("version", ["1.0", "0.9", "2.0", "1", "01.0", "1.0.0", "1.x", ""])
def test_other_versions_are_refused(tmp_path, version):
    path = tmp_path / "other.h5"

    def edit(file):
        additions(file)
        file.attrs["version"] = np.bytes_(version)

    forge(path, edit)
    assert len(verify(path)) == 1 and str(path) in verify(path)[0]


DATA = REFERENCE.read_bytes()


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(DATA) - 1), mask=st.integers(1, 255))
def test_a_flipped_byte_is_never_wrong_data(tmp_path_factory, place, mask):
    path = tmp_path_factory.getbasetemp() / "flipped.h5"
    path.write_bytes(DATA[:place] + bytes([DATA[place] ^ mask]) + DATA[place + 1 :])
    weights, tensors = expected_arrays()
    reads = (lambda: read_shard(path), lambda: read_shard(path, range(5), batch_norm=False))
    for read in reads:
        try:
            shard = read()
        except ShardError as error:
            assert str(path) in str(error) and verify(path)
            continue
        np.testing.assert_array_equal(shard.weights.view("u4"), weights.view("u4"))
        assert shard.instances.equals(pd.DataFrame(COLUMNS)) and shard.layout == LAYOUT
        assert (shard.arguments, shard.provenance) == (ARGUMENTS, PROVENANCE)
        for name, tensor in shard.batch_norm.items():
            np.testing.assert_array_equal(tensor, tensors[name])
    try:
        catalogue = Catalogue.build([path])
        found = catalogue.weights(catalogue.select())
    except ShardError:
        return
    np.testing.assert_array_equal(found, weights[[0, 1, 3]])

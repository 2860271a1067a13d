"""The shard format and the catalogue: round trips, damage of every kind, selection."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.errors import InputError
from lib.store import (
    Catalogue,
    CatalogueError,
    Shard,
    ShardError,
    iterate,
    read_header,
    read_instances,
    read_shard,
    verify,
    write_shard,
)
from lib.store import format as shard_format
from lib.store.__main__ import main

LAYOUT = [
    ("conv.weight", (4, 1, 3, 3), "conv"),
    ("conv.bias", (4,), "conv"),
    ("fc.weight", (3, 16), "linear"),
    ("fc.bias", (3,), "linear"),
]
SPLITS = ("train", "validation", "test")
QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shard.h5"


@pytest.fixture
def written(path):
    write_shard(path, make())
    return path


# Round trips

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,12}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
COLUMNS = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=True, allow_infinity=True),
    "str": texts,
}


@st.composite
def shards(draw, architecture=None):
    entries = draw(
        st.lists(
            st.tuples(names, st.lists(st.integers(1, 4), max_size=3).map(tuple), names),
            min_size=1,
            max_size=4,
            unique_by=lambda entry: entry[0],
        )
    )
    layout = layout_of(entries)
    n = draw(st.integers(1, 5))
    size = layout[-1]["offset"] + layout[-1]["size"]
    shard = make(n, architecture=architecture or draw(names), batch_norm=False, layout=layout)
    bits = (
        np.random.default_rng(draw(st.integers(0, 2**32)))
        .integers(0, 2**32, (n, size), "uint32")
        .view("float32")
    )
    status = draw(st.lists(st.sampled_from(["ok", "diverged"]), min_size=n, max_size=n))
    shard.instances["status"] = status
    keep = np.array([one == "diverged" for one in status])[:, None]
    shard.weights = np.where(keep, bits, np.nan_to_num(bits))
    extra = draw(
        st.dictionaries(
            names.map(lambda name: f"x_{name}"), st.sampled_from(sorted(COLUMNS)), max_size=4
        )
    )
    for name, kind in extra.items():
        values = draw(st.lists(COLUMNS[kind], min_size=n, max_size=n))
        shard.instances[name] = pd.Series(
            values, dtype={"int": "int64", "float": "float64", "str": None}[kind]
        )
    for name in draw(st.lists(names, max_size=12, unique=True)):
        shape = draw(st.lists(st.integers(1, 3), max_size=2))
        shard.batch_norm[name] = np.ones((n, *shape), "float32")
    shard.provenance = draw(
        st.dictionaries(
            texts,
            st.one_of(
                texts,
                st.integers(),
                st.floats(allow_nan=False, allow_infinity=False),
                st.lists(st.booleans()),
            ),
            max_size=3,
        )
    )
    return shard


@QUICK
@given(shard=shards(), data=st.data())
def test_what_is_written_is_read(path, shard, data):
    write_shard(path, shard)
    assert verify(path) == []
    same(shard, read_shard(path))
    n = len(shard.instances)
    rows = data.draw(st.lists(st.integers(0, n - 1), max_size=7))
    same(shard, read_shard(path, rows), rows)
    same(shard, read_shard(path, rows, verify=False), rows)
    batch = data.draw(st.integers(1, n + 1))
    pieces = list(iterate([path], batch))
    assert max(len(piece.instances) for piece in pieces) <= batch
    same(
        shard,
        Shard(
            pieces[0].architecture,
            pieces[0].layout,
            np.concatenate([piece.weights for piece in pieces]),
            pd.concat([piece.instances for piece in pieces], ignore_index=True),
            {
                name: np.concatenate([piece.batch_norm[name] for piece in pieces])
                for name in pieces[0].batch_norm
            },
            pieces[0].provenance,
        ),
    )


@QUICK
@given(shard=shards(architecture="Net"))
def test_catalogue_keeps_every_value(tmp_path, shard):
    write_shard(tmp_path / "a.h5", shard)
    catalogue = Catalogue.build([tmp_path / "a.h5"])
    catalogue.save(tmp_path / "zoo.csv")
    loaded = Catalogue.load(tmp_path / "zoo.csv")
    pd.testing.assert_frame_equal(catalogue.frame, loaded.frame, check_exact=True)
    columns = list(shard.instances)
    pd.testing.assert_frame_equal(loaded.frame[columns], shard.instances, check_exact=True)


def test_header_is_read_without_the_data(written):
    header = read_header(written)
    assert (header.n, header.parameters, header.architecture) == (6, 91, "ResNet8")
    assert header.layout == layout_of(LAYOUT)
    assert header.columns == list(make().instances)
    assert header.batch_norm == ["bn.weight", "bn.running_var"]
    same(
        make(),
        Shard(
            header.architecture,
            header.layout,
            make().weights,
            read_instances(written)[1],
            make().batch_norm,
            header.provenance,
        ),
    )


def test_same_shard_same_bytes(tmp_path, written):
    shard = make()
    shard.provenance = dict(reversed(shard.provenance.items()))
    write_shard(tmp_path / "again.h5", shard)
    assert (tmp_path / "again.h5").read_bytes() == written.read_bytes()
    script = (
        "import sys; from lib.store import read_shard, write_shard; "
        "write_shard(sys.argv[2], read_shard(sys.argv[1]))"
    )
    root = Path(shard_format.__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", script, written, tmp_path / "other.h5"],
        check=True,
        env={"PYTHONPATH": str(root), "PYTHONHASHSEED": "7"},
    )
    assert (tmp_path / "other.h5").read_bytes() == written.read_bytes()


def test_content_digest_follows_the_content(tmp_path, written):
    shard = make()
    shard.instances.loc[3, "momentum"] = 0.8
    write_shard(tmp_path / "other.h5", shard)
    assert read_header(tmp_path / "other.h5").sha256 != read_header(written).sha256


def test_large_header_and_many_tensors(path):
    shard = make()
    shard.layout = layout_of([(f"blocks.{i}.conv.weight", (1,), "conv") for i in range(91)])
    shard.provenance = {"config": "x" * 200_000}
    shard.batch_norm = {f"bn{i}.running_mean": np.full((6, 2), i, "float32") for i in range(300)}
    write_shard(path, shard)
    assert verify(path) == []
    same(shard, read_shard(path))


def test_a_failed_write_leaves_the_old_file(written):
    before = written.read_bytes()
    shard = make()
    shard.weights[0, 0] = math.nan
    with pytest.raises(ShardError):
        write_shard(written, shard)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


# What may not be written


def change(what):
    """A function that sets attributes of a shard, or columns of its instances."""

    def apply(shard):
        for name, value in what.items():
            if hasattr(shard, name):
                setattr(shard, name, value)
            else:
                shard.instances[name] = value

    return apply


def layout_with(**entry):
    layout = layout_of(LAYOUT)
    layout[1].update(entry)
    return layout


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"weights": np.zeros((6, 90), "f4")}, "'weights'.*expected \\(6, 91\\)"),
        ({"weights": np.zeros((5, 91), "f4")}, "'weights'.*expected \\(6, 91\\)"),
        ({"weights": np.zeros((6, 91))}, "'weights'.*float64, expected float32"),
        (
            {"weights": np.full((6, 91), np.inf, "f4")},
            "'weights'.*'ResNet8-0000', whose status is ok",
        ),
        ({"instances": make().instances[:0]}, "no instances"),
        ({"architecture": "a b"}, "architecture 'a b'"),
        ({"architecture": "LeNetLike"}, "'instances/architecture'.*expected LeNetLike"),
        ({"layout": []}, "non-empty list"),
        ({"layout": layout_with(offset=37)}, "conv.bias: offset 37, expected 36"),
        ({"layout": layout_with(size=5)}, "conv.bias: size 5, expected 4"),
        ({"layout": layout_with(shape=[-4])}, "conv.bias: shape"),
        ({"layout": layout_with(name="conv.weight")}, "'conv.weight' is not allowed or not unique"),
        ({"layout": layout_with(more=1)}, "exactly the keys"),
        ({"layout": layout_with(kind=None)}, "kind None"),
        ({"provenance": {"a": math.nan}}, "provenance"),
        ({"provenance": {"a": object()}}, "provenance"),
        ({"provenance": []}, "provenance must be a dict"),
        ({"batch_norm": {"a/b": np.zeros((6, 1), "f4")}}, "'a/b'"),
        ({"batch_norm": {"bn": np.zeros((5, 1), "f4")}}, "'batch_norm/bn'.*one row for each of 6"),
        ({"batch_norm": {"bn": np.full((6, 1), np.nan, "f4")}}, "'batch_norm/bn'.*NaN"),
        ({"status": "fine"}, "'instances/status'.*'fine', expected ok or diverged"),
        ({"split": "val"}, "'instances/split'.*expected train or"),
        ({"network": "one"}, "'instances/network'.*'one' occurs more than once"),
        ({"instance": 1}, "'instances/instance'.*1 occurs more than once"),
        ({"instance": np.arange(-1, 5)}, "negative"),
        ({"seed": 1.5}, "'instances/seed'.*holds float, expected int"),
        ({"momentum": "0.9"}, "'instances/momentum'.*holds str, expected float"),
        ({"good": True}, "'instances/good'.*bool"),
        ({"big": np.full(6, 2**63, "uint64")}, "'instances/big'"),
        ({"text": "a\0b"}, "'instances/text'.*NUL"),
        ({"text": "\ud800"}, "'instances/text'"),
        ({"text": [None, *"abcde"]}, "'instances/text'.*missing"),
        ({"row": 1}, "'row': not an allowed name"),
        ({"a b": 1}, "'a b': not an allowed name"),
    ],
)
def test_a_shard_that_is_none_is_not_written(path, what, message):
    shard = make()
    change(what)(shard)
    with pytest.raises(ShardError, match=message) as error:
        write_shard(path, shard)
    assert str(path) in str(error.value)
    assert not path.exists()


def test_a_required_column_is_required(path):
    shard = make()
    del shard.instances["split"]
    with pytest.raises(ShardError, match="'instances/split': missing"):
        write_shard(path, shard)


def test_two_columns_of_one_name(path):
    shard = make()
    shard.instances = pd.concat([shard.instances, shard.instances[["seed"]]], axis=1)
    with pytest.raises(ShardError, match="one name"):
        write_shard(path, shard)


# Damage


def refused(path, message, **options):
    """Reading and verifying both name the file and the problem."""
    problems = verify(path)
    assert problems
    with pytest.raises(ShardError, match=message) as error:
        read_shard(path, **options)
    assert str(path) in str(error.value)
    assert any(str(error.value) == line for line in problems)


def flip(path, name, row=0):
    """Flip one bit of a row of a dataset, in place."""
    block = read_header(path).blocks[name]
    place = block.offset + row * block.row_bytes
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    [
        "weights_sha256",
        "instances/momentum",
        "instances/note",
        "instances/status",
        "batch_norm/bn.running_var",
    ],
)
def test_flipped_bit_is_found_and_named(written, name):
    flip(written, name, 4)
    assert any(f"dataset '{name}': damaged" in line for line in verify(written))
    with pytest.raises(ShardError, match=f"dataset '{name}': damaged"):
        read_shard(written, rows=[0])
    if name.startswith("instances"):
        with pytest.raises(ShardError, match=name):
            Catalogue.build([written])


def test_flipped_bit_in_weights_is_found_where_it_is(written):
    flip(written, "weights", 4)
    assert verify(written) == [
        f"{written}: dataset 'weights': damaged: row 4 (ResNet8-0004) differs from its SHA-256"
    ]
    with pytest.raises(ShardError, match="'weights': damaged"):
        read_shard(written)
    with pytest.raises(ShardError, match="'weights': damaged: row 4"):
        read_shard(written, rows=[1, 4])
    same(make(), read_shard(written, rows=[1, 3, 5]), [1, 3, 5])
    stream = iterate([written], 3)
    next(stream)
    with pytest.raises(ShardError, match="row 4"):
        next(stream)
    assert read_shard(written, verify=False).weights.shape == (6, 91)


def test_all_problems_are_listed(written):
    for name in ("weights", "instances/seed", "batch_norm/bn.weight"):
        flip(written, name)
    lines = verify(written)
    assert len(lines) == 3
    assert {line.split("'")[1] for line in lines} == {
        "weights",
        "instances/seed",
        "batch_norm/bn.weight",
    }


def test_truncated(written):
    whole = written.read_bytes()
    for length in (0, 1, 8, 20, 47, 48, 100, len(whole) // 2, len(whole) - 1):
        written.write_bytes(whole[:length])
        refused(written, "truncated|not an HDF5 file|an empty file")
    written.write_bytes(whole + b"\0")
    refused(written, "truncated or damaged")


def test_not_a_shard_at_all(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("network,architecture\n" * 20)
    refused(text, "not an HDF5 file")
    refused(tmp_path / "none.h5", "no such file")
    refused(tmp_path, "not a file")
    with h5py.File(tmp_path / "other.h5", "w", libver="v108") as file:
        file["pixels"] = np.zeros((3, 1, 8, 8))
    refused(tmp_path / "other.h5", "'type' is missing")
    with h5py.File(tmp_path / "old.h5", "w", libver="earliest") as file:
        file["pixels"] = np.zeros((3, 1, 8, 8))
    refused(tmp_path / "old.h5", "superblock")


def forge(path, edit, shard=None, resign=True):
    """Write a shard, edit the open file, and give it the digests that fit, as a forger would."""
    write_shard(path, shard or make())
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        edit(file)
        if not resign:
            return
        blocks = {}
        listed = ["weights", "weights_sha256"]
        for group in ("instances", "batch_norm"):
            if group in file and "order" in file[group].attrs:
                listed += [f"{group}/{name}" for name in json.loads(file[group].attrs["order"])]
        for name in listed:
            dataset = file.get(name)
            if isinstance(dataset, h5py.Dataset) and dataset.id.get_storage_size():
                data = dataset[()]
                if data.dtype.kind not in "iufS":
                    continue
                sha = shard_format.array_sha256(np.ascontiguousarray(data))
                dataset.attrs["sha256"] = np.bytes_(sha)
                blocks[name] = shard_format.Block(data.dtype.str, data.shape, 0, sha)
        if "version" in file.attrs:
            texts = {name: value for name, value in file.attrs.items()}
            for group in set(file) & {"instances", "batch_norm"}:
                if isinstance(file.get(group, getlink=True), h5py.HardLink):
                    texts |= {f"{group}/{name}": v for name, v in file[group].attrs.items()}
            texts = {name: np.bytes_(value).decode() for name, value in texts.items()}
            digest = shard_format.content_sha256(texts["version"], texts, blocks)
            file.attrs["sha256"] = np.bytes_(digest)


def replace(name, **how):
    def edit(file):
        values = file[name][()] if "shape" not in how else None
        del file[name]
        dataset = file.create_dataset(name, **({"data": values} | how))
        dataset.attrs["sha256"] = np.bytes_("0" * 64)

    return edit


def attribute(name, value):
    def edit(file):
        file.attrs[name] = value

    return edit


def remove(name):
    def edit(file):
        del file[name]

    return edit


def without(name, where="/"):
    def edit(file):
        del file[where].attrs[name]

    return edit


def nan(name):
    def edit(file):
        file[name][2, 0] = np.nan
        rows = shard_format.row_digests(np.ascontiguousarray(file["weights"][()]))
        file["weights_sha256"][()] = rows

    return edit


def link(name, kind):
    def edit(file):
        del file[name]
        file[name] = kind

    return edit


def shared(file):
    del file["batch_norm/bn.weight"]
    file["batch_norm/bn.weight"] = file["batch_norm/bn.running_var"]


def cycle(file):
    del file["batch_norm"]
    file["batch_norm"] = file["/"]


def value(name, row, new):
    def edit(file):
        file[name][row] = new

    return edit


def short_layout(file):
    file.attrs["layout"] = np.bytes_(json.dumps(layout_of(LAYOUT[:3])))


VARIABLE = h5py.string_dtype("utf-8")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (attribute("type", np.bytes_("netspace-images")), "of type 'netspace-images', expected"),
        (attribute("type", "netspace-shard"), "'type' must be one text of fixed length"),
        (attribute("version", np.bytes_("2.0")), "of version 2.0; this program reads versions 1.x"),
        (attribute("version", np.bytes_("1")), "'version' is '1', expected one such as '1.0'"),
        (attribute("version", np.int64(1)), "'version' must be one text of fixed length"),
        (attribute("layout", np.bytes_("[")), "'layout' is not JSON"),
        (attribute("layout", np.bytes_("[" * 100_000)), "'layout' is not JSON"),
        (attribute("layout", np.bytes_("{}")), "'layout'"),
        (short_layout, "'weights': shape \\(6, 91\\), expected \\(n, 88\\)"),
        (attribute("provenance", np.bytes_("[]")), "'provenance' must be a JSON object"),
        (attribute("architecture", np.bytes_("../x")), "'architecture' is not a name"),
        (attribute("architecture", np.bytes_("LeNetLike")), "'instances/architecture'"),
        (attribute("note", np.bytes_("x")), "holds 'note'"),
        *[
            (without(name), f"'{name}' is missing")
            for name in ("type", "version", "architecture", "layout", "provenance")
        ],
        (without("order", "instances"), "'order' of /instances is missing"),
        *[
            (remove(name), f"'{name}': missing")
            for name in ("weights", "weights_sha256", "instances", "batch_norm")
        ],
        (remove("instances/momentum"), "'order' of 'instances' does not list"),
        (remove("batch_norm/bn.weight"), "'order' of 'batch_norm' does not list"),
        (lambda file: file.create_group("more"), "holds 'more'"),
        (nan("weights"), "'weights': NaN or infinity in 'ResNet8-0002', whose status is ok"),
        (nan("batch_norm/bn.weight"), "'batch_norm/bn.weight': NaN or infinity in 'ResNet8-0002'"),
        (value("instances/status", 1, b"no"), "'instances/status': 'no', expected ok or"),
        (value("instances/note", 1, b"\xff"), "'instances/note': not UTF-8"),
        (value("instances/instance", 1, 0), "'instances/instance': 0 occurs more than once"),
        (replace("weights", dtype="<f8"), "'weights': dtype <f8, expected <f4"),
        (replace("weights", dtype=">f4"), "'weights': dtype >f4, which the format does not know"),
        (replace("weights_sha256", dtype="i1"), "'weights_sha256': dtype int8"),
        (replace("instances/seed", dtype="<i4"), "'instances/seed': dtype int32"),
        (replace("instances/note", dtype=VARIABLE), "'instances/note': texts must be"),
        (replace("weights", chunks=(1, 91)), "'weights': must be stored contiguously"),
        (replace("weights", compression="gzip"), "'weights': must be stored contiguously"),
        (replace("weights", data=np.zeros((5, 91), "f4")), "there are 5 networks"),
        (replace("weights", data=np.float32(1)), "'weights': not an array"),
        (replace("weights", shape=(2**40, 91), dtype="<f4"), "'weights': claims 400222232510464"),
        (replace("instances/seed", shape=(2**40,), dtype="<i8"), "'instances/seed': claims"),
        (replace("instances/seed", shape=(2**61,), dtype="<i8", chunks=(1,)), "'instances/seed'"),
        (
            replace("batch_norm/bn.weight", shape=(6, 0), dtype="<f4"),
            "'batch_norm/bn.weight'.*empty",
        ),
        (link("weights", h5py.SoftLink("/batch_norm/bn.weight")), "'weights': a soft or external"),
        (
            link("weights", h5py.ExternalLink("other.h5", "weights")),
            "'weights': a soft or external",
        ),
        (link("weights", h5py.SoftLink("/nowhere")), "'weights': a soft or external"),
        (link("instances", h5py.ExternalLink("other.h5", "instances")), "'instances': a soft or"),
        (link("batch_norm/bn.weight", h5py.ExternalLink("other.h5", "weights")), "links are not"),
        (shared, "overlap"),
        (cycle, "batch_norm"),
        (lambda file: link("weights", file["instances"])(file), "'weights' is not a dataset"),
        (lambda file: link("instances", file["weights"])(file), "'instances' is not a group"),
    ],
)
def test_forged_shards_are_refused(path, edit, message):
    write_shard(path.with_name("other.h5"), make())
    forge(path, edit)
    refused(path, message)


def test_missing_and_wrong_digests(path):
    forge(path, without("sha256", "weights"), resign=False)
    refused(path, "'weights': the attribute 'sha256' is missing")
    forge(path, without("sha256"), resign=False)
    refused(path, "'sha256' is missing")
    forge(path, attribute("sha256", np.bytes_("0" * 64)), resign=False)
    refused(path, "'sha256' does not fit")
    forge(path, lambda file: None)
    assert verify(path) == []


def test_external_storage_is_refused(path):
    (path.parent / "raw").write_bytes(b"\0" * 6 * 91 * 4)

    def edit(file):
        del file["weights"]
        file.create_dataset(
            "weights", (6, 91), "<f4", external=[(str(path.parent / "raw"), 0, 6 * 91 * 4)]
        )
        file["weights"].attrs["sha256"] = np.bytes_("0" * 64)

    forge(path, edit)
    refused(path, "'weights': must be stored contiguously, in this file")


def test_diverged_networks_may_hold_nan(path):
    write_shard(path, make(diverged={2}))
    assert verify(path) == []
    shard = read_shard(path)
    assert np.isnan(shard.weights[2]).all()
    assert list(shard.instances["status"]) == ["ok", "ok", "diverged", "ok", "ok", "ok"]


@pytest.mark.parametrize("rows", [[6], [-1], [0.5], [[0]]])
def test_rows_that_are_not_there(written, rows):
    with pytest.raises(ShardError, match="row"):
        read_shard(written, rows)


def test_random_damage_is_an_error_or_does_no_harm(tmp_path):
    """200 damaged copies: flipped bits, overwritten stretches, cuts, swaps of two stretches."""
    dice = random.Random(7)
    good = make(4, diverged={1})
    sound = tmp_path / "sound.h5"
    write_shard(sound, good)
    data = sound.read_bytes()
    damaged = tmp_path / "damaged.h5"
    outcomes = {"refused": 0, "unharmed": 0}
    for turn in range(200):
        copy, place = bytearray(data), dice.randrange(len(data))
        length = min(dice.choice([1, 1, 4, 64, 512]), len(data) - place)
        how = turn % 4
        if how == 0:
            copy[place] ^= 1 << dice.randrange(8)
        elif how == 1:
            copy[place : place + length] = dice.choice(
                [bytes(length), b"\xff" * length, dice.randbytes(length)]
            )
        elif how == 2:
            del copy[place : place + length]
        else:
            other = dice.randrange(len(data) - length + 1)
            copy[place : place + length] = data[other : other + length]
        damaged.write_bytes(copy)
        problems = verify(damaged)
        try:
            same(good, read_shard(damaged))
            same(good, read_shard(damaged, [3, 1]), [3, 1])
            assert problems == []
            outcomes["unharmed"] += 1
        except ShardError as error:
            assert problems
            assert str(damaged) in str(error)
            outcomes["refused"] += 1
    assert outcomes["refused"] > 100


# The catalogue


@pytest.fixture
def zoo(tmp_path):
    """Two architectures in four shards, in two folders; two networks diverged."""
    other = layout_of([("fc.weight", (3, 5), "linear")])
    places = {
        "a/ResNet8-0.h5": make(4),
        "a/ResNet8-1.h5": make(5, 4, diverged={6}),
        "b/LeNetLike-0.h5": make(3, 0, "LeNetLike", other, batch_norm=False),
        "b/LeNetLike-1.h5": make(3, 3, "LeNetLike", other, {3}, batch_norm=False),
    }
    for name, shard in places.items():
        write_shard(tmp_path / "zoo" / name, shard)
    return [tmp_path / "zoo" / name for name in places]


def test_order_of_shards_does_not_matter(zoo, tmp_path):
    one, texts = Catalogue.build(zoo), set()
    for seed in range(5):
        shuffled = random.Random(seed).sample(zoo, len(zoo))
        other = Catalogue.build(shuffled)
        pd.testing.assert_frame_equal(one.frame, other.frame)
        other.save(tmp_path / "catalogue.csv")
        texts.add((tmp_path / "catalogue.csv").read_bytes())
    assert len(texts) == 1
    assert list(one.frame["network"][:2]) == ["LeNetLike-0000", "LeNetLike-0001"]
    assert list(one.frame["instance"]) == [*range(6), *range(9)]
    named = Catalogue.build(zoo, ["ResNet8", "LeNetLike"]).frame
    assert named["architecture"].iloc[0] == "ResNet8"


def test_cut_into_shards_does_not_matter(zoo, tmp_path):
    write_shard(tmp_path / "whole.h5", make(9, diverged={6}))
    one = Catalogue.build([tmp_path / "whole.h5"])
    two = Catalogue.build(zoo[:2])
    drop = ["shard", "row"]
    pd.testing.assert_frame_equal(one.frame.drop(columns=drop), two.frame.drop(columns=drop))
    np.testing.assert_array_equal(one.weights(one.select()), two.weights(two.select()))


def test_select(zoo):
    catalogue = Catalogue.build(zoo, ["ResNet8", "LeNetLike"])
    assert len(catalogue.frame) == 15
    assert len(catalogue.select()) == 13
    assert set(catalogue.select()["status"]) == {"ok"}
    assert list(catalogue.select(status="diverged")["network"]) == [
        "ResNet8-0006",
        "LeNetLike-0003",
    ]
    assert len(catalogue.select(status=None)) == 15
    test = catalogue.select("ResNet8", "test")
    assert list(test["instance"]) == [2, 5, 8]
    assert list(test.index) == [0, 1, 2]
    both = catalogue.select(["LeNetLike", "ResNet8"], ["test", "validation"])
    assert list(both["architecture"].unique()) == ["ResNet8", "LeNetLike"]
    for wrong in ({"architecture": "ResNet9"}, {"split": "val"}, {"status": "fine"}):
        with pytest.raises(CatalogueError, match="there is"):
            catalogue.select(**wrong)


def test_weights_follow_the_frame(zoo, tmp_path, monkeypatch):
    Catalogue.build(zoo).save(tmp_path / "lists" / "catalogue.csv")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    catalogue = Catalogue.load(Path("..") / "lists" / "catalogue.csv")
    assert catalogue.frame["shard"].iloc[0] == "../zoo/b/LeNetLike-0.h5"
    frame = catalogue.select("ResNet8")
    np.testing.assert_array_equal(
        catalogue.weights(frame), make(9).weights[[0, 1, 2, 3, 4, 5, 7, 8]]
    )
    mixed = frame.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(catalogue.weights(mixed), make(9).weights[mixed["instance"]])
    assert catalogue.weights(frame[frame["split"] == "test"]).shape == (3, 91)
    with pytest.raises(CatalogueError, match="one architecture at a time"):
        catalogue.weights(catalogue.select())
    with pytest.raises(CatalogueError, match="no networks"):
        catalogue.weights(frame[:0])


def test_weights_read_only_what_is_asked_for(zoo):
    catalogue = Catalogue.build(zoo)
    flip(zoo[1], "weights", 3)
    frame = catalogue.select("ResNet8")
    keep = frame["instance"] != 7
    assert catalogue.weights(frame[keep]).shape == (7, 91)
    with pytest.raises(ShardError, match="ResNet8-0007"):
        catalogue.weights(frame)


def test_state_dict_and_layout(zoo):
    catalogue = Catalogue.build(zoo)
    layout = catalogue.layout("ResNet8")
    assert layout == layout_of(LAYOUT)
    state = catalogue.state_dict("ResNet8-0005")
    assert list(state) == [entry["name"] for entry in layout]
    for entry in layout:
        assert list(state[entry["name"]].shape) == entry["shape"]
    flat = np.concatenate([tensor.numpy().ravel() for tensor in state.values()])
    np.testing.assert_array_equal(flat, make(9).weights[5])
    with pytest.raises(CatalogueError, match="no network 'ResNet8-9999'"):
        catalogue.state_dict("ResNet8-9999")


def test_contradictions_are_refused(zoo, tmp_path):
    with pytest.raises(CatalogueError, match="at least one shard"):
        Catalogue.build([])
    with pytest.raises(CatalogueError, match="'ResNet8-0000' is in .* and in"):
        Catalogue.build([zoo[0], zoo[0]])
    write_shard(tmp_path / "x.h5", make(2, 20, layout=layout_of(LAYOUT[:2])))
    with pytest.raises(CatalogueError, match="layout of ResNet8 differs"):
        Catalogue.build([zoo[0], tmp_path / "x.h5"])
    shard = make(2, 20)
    shard.instances["note"] = 1
    write_shard(tmp_path / "x.h5", shard)
    with pytest.raises(CatalogueError, match="column 'note' holds int, in other shards str"):
        Catalogue.build([zoo[0], tmp_path / "x.h5"])


def test_columns_that_some_shards_lack(zoo, tmp_path):
    shard = make(2, 20)
    shard.instances = shard.instances.drop(columns=["epochs", "note"]).assign(extra=1.5, source="x")
    write_shard(tmp_path / "x.h5", shard)
    frames = [
        Catalogue.build(paths).frame
        for paths in ([zoo[0], tmp_path / "x.h5"], [tmp_path / "x.h5", zoo[0]])
    ]
    pd.testing.assert_frame_equal(*frames)
    new = frames[0][frames[0]["instance"] >= 20]
    assert new["epochs"].isna().all()
    assert list(new["note"]) == ["", ""]
    assert list(frames[0]["source"]) == [""] * 4 + ["x"] * 2
    shard.instances["epochs2"] = 2**60 + 1
    write_shard(tmp_path / "x.h5", shard)
    with pytest.raises(CatalogueError, match="'epochs2' is not in all shards"):
        Catalogue.build([zoo[0], tmp_path / "x.h5"])


def test_a_stale_catalogue_is_noticed(zoo):
    catalogue = Catalogue.build(zoo)
    write_shard(zoo[0], make(4, 40))
    with pytest.raises(CatalogueError, match="build the catalogue anew"):
        catalogue.weights(catalogue.select("ResNet8"))


def test_catalogue_files_that_are_none(zoo, tmp_path):
    file = tmp_path / "catalogue.csv"
    with pytest.raises(CatalogueError, match="cannot be read"):
        Catalogue.load(file)
    for text in ("", "a,b\n1,2,3,4\n5\n", "network,network\nx,y\n"):
        file.write_text(text)
        with pytest.raises(CatalogueError, match=str(file)):
            Catalogue.load(file)
    file.write_bytes(b"\xff\xfe\x00network\n")
    with pytest.raises(CatalogueError, match="cannot be read"):
        Catalogue.load(file)
    file.write_text("network,architecture\nx,y\n")
    with pytest.raises(CatalogueError, match="column 'instance' is missing"):
        Catalogue.load(file)
    Catalogue.build(zoo).save(file)
    file.write_text(file.read_text().replace(",0\n", ',"zero"\n'))
    with pytest.raises(CatalogueError, match="column 'row' holds str, expected int"):
        Catalogue.load(file)


def test_catalogue_saved_again_without_quotes_is_read(zoo, tmp_path):
    catalogue = Catalogue.build(zoo)
    catalogue.frame.drop(columns="note").to_csv(
        tmp_path / "zoo" / "c.csv", index=False, na_rep="nan"
    )
    loaded = Catalogue.load(tmp_path / "zoo" / "c.csv")
    pd.testing.assert_frame_equal(loaded.frame, catalogue.frame.drop(columns="note"))


# The command line


def test_verify_command(zoo, capsys):
    assert main(["verify", *map(str, zoo)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{zoo[0]}: ok (4 networks of ResNet8, 91 parameters")
    flip(zoo[1], "weights")
    flip(zoo[1], "instances/seed")
    zoo[2].write_text("no")
    assert main(["verify", *map(str, zoo)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [": ok" in line for line in lines] == [True, False, False, True]
    assert "dataset 'instances/seed': damaged" in lines[1]
    assert "dataset 'weights': damaged" in lines[1]


def test_list_command(zoo, tmp_path, capsys):
    Catalogue.build(zoo).save(tmp_path / "catalogue.csv")
    assert main(["list", str(tmp_path / "catalogue.csv")]) == 0
    assert "ResNet8\ttest\tok\t3" in capsys.readouterr().out
    assert main(["list", str(tmp_path / "none.csv")]) == 1


def test_errors_are_input_errors():
    assert issubclass(ShardError, InputError)
    assert issubclass(CatalogueError, InputError)

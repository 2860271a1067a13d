"""Damage of every kind: the reader names file and dataset, and never hands out wrong data."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from lib import nets
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout
from lib.zoo.store import (
    Catalogue,
    ShardError,
    iterate,
    read_header,
    read_shard,
    registered,
    verify,
    write_shard,
)
from lib.zoo.store import format as shard_format
from shards import LAYOUT, flip, forge, layout_of, make, same


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shard.h5"


@pytest.fixture
def written(path):
    write_shard(path, make())
    return path


def refused(path, message, **options):
    """Reading and verifying both name the file and the problem."""
    problems = verify(path)
    assert problems
    with pytest.raises(ShardError, match=message) as error:
        read_shard(path, **options)
    assert str(path) in str(error.value)
    assert any(str(error.value) == line for line in problems)


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


def replace(name, **how):
    def edit(file):
        values = file[name][()] if "shape" not in how else None
        del file[name]
        dataset = file.create_dataset(name, **({"data": values} | how))
        dataset.attrs["sha256"] = np.bytes_("0" * 64)

    return edit


def attribute(name, value, where="/"):
    def edit(file):
        file[where].attrs[name] = value

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
        (attribute("arguments", np.bytes_("3")), "'arguments' must be a JSON object"),
        (attribute("arguments", np.bytes_('{"size":NaN}')), "'arguments' is not JSON: NaN"),
        (attribute("note", np.bytes_("x")), "holds 'note'"),
        (attribute("units", np.bytes_("x"), "instances"), "holds 'instances/units'"),
        (attribute("units", np.bytes_("x"), "weights"), "'weights': has an attribute 'units'"),
        *[
            (without(name), f"'{name}' is missing")
            for name in ("type", "version", "architecture", "arguments", "layout", "provenance")
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
        (value("instances/note", 1, b"a\0b"), "'instances/note': a text has a NUL character"),
        (attribute("provenance", np.bytes_("{\0}")), "'provenance' has a NUL character"),
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
    for name, text in (
        ("sha256", "0" * 64),
        ("provenance", "{}"),
        ("arguments", '{"size":9}'),
        ("architecture", "ResNet9"),
        ("version", "1.00"),
    ):
        forge(path, attribute(name, np.bytes_(text)), resign=False)
        refused(path, "'sha256' does not fit|'version' is '1.00'")
    order = json.dumps([*reversed(list(make().instances))])
    forge(path, attribute("order", np.bytes_(order), "instances"), resign=False)
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


# The registered architecture


def registered_shard(**changes):
    shard = make(2, architecture="LeNetLike", batch_norm=False)
    arguments = {"channels": 1, "size": 8, "classes": 10}
    shard.layout = Layout.of(nets.build("LeNetLike", **arguments)).to_json()
    shard.weights = np.zeros((2, sum(entry["size"] for entry in shard.layout)), "float32")
    shard.arguments = arguments | changes
    return shard


def test_a_layout_is_compared_with_the_registered_architecture(path):
    write_shard(path, registered_shard())
    assert registered.check_layout(read_header(path))
    assert verify(path, registered.problems) == []
    for changes, what in (
        ({"channels": 3}, "'layout' is not that of LeNetLike with channels 3, .* is stored"),
        ({"classes": 2}, "'layout' is not that of LeNetLike with .*classes 2, .* is stored"),
        ({"size": 7}, "'arguments': LeNetLike cannot be built with .*size 7"),
        ({"size": "8"}, "'arguments': LeNetLike cannot be built with"),
        ({"depth": 3}, "'arguments': LeNetLike cannot be built with .*depth 3"),
    ):
        write_shard(path, registered_shard(**changes))
        assert verify(path) == []
        (line,) = verify(path, registered.problems)
        assert re.match(f"{re.escape(str(path))}: the attribute {what}", line)


def test_batch_norm_is_folded_in_the_layout_compared_with(path):
    module = nets.build("ResNet8", 1, 8, 10)
    for one, problems in ((fused_skeleton(module), 0), (module, 1)):
        shard = make(2, batch_norm=False)
        shard.layout = Layout.of(one).to_json()
        shard.weights = np.zeros((2, sum(entry["size"] for entry in shard.layout)), "float32")
        shard.arguments = {"channels": 1, "size": 8, "classes": 10}
        write_shard(path, shard)
        assert len(verify(path, registered.problems)) == problems


def test_without_a_registered_architecture_or_arguments_nothing_is_compared(path):
    shard = make(architecture="SomebodysNet")
    shard.arguments = {"size": 3}
    write_shard(path, shard)
    assert not registered.check_layout(read_header(path))
    write_shard(path, make())  # called ResNet8, but it does not say what it was built for
    assert not registered.check_layout(read_header(path))
    assert verify(path, registered.problems) == []


def test_the_store_needs_neither_torch_nor_networks():
    script = (
        "import sys, lib.zoo.store; sys.exit('torch' in sys.modules or 'lib.nets' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0

"""Shards: what is written is read, bit for bit, and what is no shard is not written."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.zoo.store import (
    Catalogue,
    Shard,
    ShardError,
    iterate,
    read_header,
    read_instances,
    read_shard,
    verify,
    write_shard,
)
from lib.zoo.store import format as shard_format
from shards import LAYOUT, layout_of, make, same

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shard.h5"


@pytest.fixture
def written(path):
    write_shard(path, make())
    return path


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
        "import sys; from lib.zoo.store import read_shard, write_shard; "
        "write_shard(sys.argv[2], read_shard(sys.argv[1]))"
    )
    root = Path(shard_format.__file__).parents[3]
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

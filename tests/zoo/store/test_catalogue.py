"""The catalogue over shards: joining, selecting, reading rows, streaming; the command line."""

from __future__ import annotations

import random
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.core.errors import InputError
from lib.zoo.store import (
    Catalogue,
    CatalogueError,
    ConditionError,
    ShardError,
    write_shard,
)
from lib.zoo.store.__main__ import main
from lib.zoo.store.format import row_digests
from shards import LAYOUT, flip, forge, layout_of, make

QUICK = settings(max_examples=40, deadline=None)


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


def test_select_where(zoo):
    catalogue = Catalogue.build(zoo)
    frame = catalogue.frame

    def names(where, **wanted):
        return list(catalogue.select(where=where, **wanted)["network"])

    some = names("instance >= 5 and learning_rate < 0.108")
    assert some == ["LeNetLike-0005", "ResNet8-0005", "ResNet8-0007"]
    assert names(lambda f: (f["instance"] >= 5) & (f["learning_rate"] < 0.108)) == some
    mask = ((frame["instance"] >= 5) & (frame["learning_rate"] < 0.108)).to_numpy()
    assert names(mask) == names(list(mask)) == names(pd.Series(mask)) == some
    assert names("instance >= 5 and learning_rate < 0.108", architecture="ResNet8") == some[1:]
    assert names("validation_loss != validation_loss", status=None) == [
        "LeNetLike-0003",
        "ResNet8-0006",
    ]
    for wrong in (np.ones(3, bool), np.ones(15), lambda f: True, "yes"):
        with pytest.raises((CatalogueError, ConditionError)):
            names(wrong)


def test_checkpoints_are_left_out_unless_asked_for(zoo, tmp_path):
    shard = make(4, 20)
    shard.instances["instance"] = [20, 21, 20, 20]
    shard.instances["checkpoint_epoch"] = [-1, -1, 0, 5]
    write_shard(tmp_path / "x.h5", shard)
    for catalogue in (
        Catalogue.build([tmp_path / "x.h5"]),
        Catalogue.build([*zoo, tmp_path / "x.h5"]),
    ):
        catalogue.save(tmp_path / "c.csv")
        for one in (catalogue, Catalogue.load(tmp_path / "c.csv")):
            late = "instance >= 20"
            results = ["ResNet8-0020", "ResNet8-0021"]
            assert list(one.select("ResNet8", where=late)["network"]) == results
            assert len(one.select("ResNet8", where=late, checkpoints=True)) == 4
    shard.instances["instance"] = [20, 20, 20, 20]
    with pytest.raises(ShardError, match="'instances/instance': 20 occurs more than once"):
        write_shard(tmp_path / "y.h5", shard)


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("block", [1, 3])
@pytest.mark.parametrize("window", [1, 91 * 4 * 5, 1 << 20])
def test_streams_give_each_network_once(zoo, seed, batch, block, window):
    catalogue = Catalogue.build(zoo)
    frame = catalogue.select("ResNet8")
    pieces = list(catalogue.stream(frame, batch, seed, block=block, window=window))
    assert [len(piece) for piece, _ in pieces[:-1]] == [batch] * (len(pieces) - 1)
    together = pd.concat([piece for piece, _ in pieces])
    assert sorted(together.index) == list(range(8))
    if seed is None or block == 1:
        assert (list(together.index) == list(range(8))) == (seed is None)
    pd.testing.assert_frame_equal(together, frame.loc[together.index])
    for piece, weights in pieces:
        np.testing.assert_array_equal(weights, make(9).weights[piece["instance"]])


def test_the_order_of_a_stream_depends_on_the_seed_alone(zoo, tmp_path):
    write_shard(tmp_path / "whole.h5", make(9, diverged={6}))
    orders = {}
    for paths in (zoo[:2], [tmp_path / "whole.h5"]):
        catalogue = Catalogue.build(paths)
        for seed in range(3):
            for batch, window in ((2, 1), (4, 1 << 20)):
                stream = catalogue.stream(catalogue.select(), batch, seed, window=window)
                order = tuple(name for piece, _ in stream for name in piece["network"])
                orders.setdefault(seed, set()).add(order)
    assert [len(found) for found in orders.values()] == [1, 1, 1]
    assert len(set.union(*orders.values())) == 3


def test_blocks_stay_together_within_a_window_and_are_mixed_there(tmp_path):
    layout = layout_of([("fc.weight", (1, 1), "linear")])
    write_shard(tmp_path / "x.h5", make(1000, layout=layout, batch_norm=False))
    catalogue = Catalogue.build([tmp_path / "x.h5"])
    frame = catalogue.select()
    orders = []
    for seed in (0, 0, 1):
        stream = catalogue.stream(frame, 10, seed, block=20, window=4 * 100)
        orders.append(np.concatenate([piece["instance"] for piece, _ in stream]))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()
    for order in orders:
        assert sorted(order) == list(range(1000))
        windows = order.reshape(10, 100)
        assert all(len(set(window // 20)) == 5 for window in windows)
        assert np.median(np.abs(np.diff(order))) > 20
        assert any(window.max() - window.min() > 500 for window in windows)


def test_a_stream_holds_windows_not_the_zoo(tmp_path):
    layout = layout_of([("fc.weight", (1000, 25), "linear")])
    for number in range(4):
        shard = make(100, 100 * number, layout=layout, batch_norm=False)
        write_shard(tmp_path / f"{number}.h5", shard)
    catalogue = Catalogue.build(sorted(tmp_path.glob("*.h5")))
    frame = catalogue.select()
    list(catalogue.stream(frame[:1], 1))
    tracemalloc.start()
    for _, weights in catalogue.stream(frame, 10, seed=0, window=1 << 20):
        assert len(weights) == 10
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20  # the zoo has 38 MiB


def test_streams_find_damage_unless_told_not_to(zoo):
    catalogue = Catalogue.build(zoo)
    frame = catalogue.select("ResNet8")
    flip(zoo[1], "weights", 3)
    for seed in (None, 0):
        with pytest.raises(ShardError, match=f"{zoo[1]}: dataset 'weights'.*row 3 .ResNet8-0007"):
            list(catalogue.stream(frame, 2, seed))
    assert len(list(catalogue.stream(frame, 2, verify=False))) == 4
    for wrong in (frame[:0], catalogue.select()):
        with pytest.raises(CatalogueError, match="one architecture at a time"):
            next(catalogue.stream(wrong, 2))
    for wrong in ({"batch": 0}, {"batch": 1, "block": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            next(catalogue.stream(frame, **wrong))


def test_rows_that_are_ok_but_not_finite_are_refused(zoo):
    weights = make(4).weights
    weights[2, 5] = np.nan

    def edit(file):
        file["weights"][()] = weights
        file["weights_sha256"][()] = row_digests(weights)

    forge(zoo[0], edit, make(4))
    catalogue = Catalogue.build(zoo)
    frame = catalogue.select("ResNet8")
    with pytest.raises(ShardError, match=f"{zoo[0]}.*NaN or infinity in row 2 .ResNet8-0002"):
        catalogue.weights(frame)


def test_a_zoo_that_grows_while_it_is_read(zoo):
    """A shard that is replaced is opened anew; one that is gone is named."""
    catalogue = Catalogue.build(zoo[:2])
    frame = catalogue.select()
    before = catalogue.weights(frame)
    write_shard(zoo[0], make(4, seed=5))
    after = catalogue.weights(frame)
    np.testing.assert_array_equal(after[:4], make(4, seed=5).weights)
    np.testing.assert_array_equal(after[4:], before[4:])
    zoo[1].unlink()
    with pytest.raises(ShardError, match=f"{zoo[1]}: no such file"):
        catalogue.weights(frame)


@QUICK
@given(data=st.data())
def test_any_rows_in_any_order(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "any"
    sizes = [3, 1, 5, 4]
    if not folder.exists():
        for number, size in enumerate(sizes):
            write_shard(folder / f"{number}.h5", make(size, sum(sizes[:number])))
    catalogue = Catalogue.build(sorted(folder.glob("*.h5")))
    rows = data.draw(st.lists(st.integers(0, sum(sizes) - 1), min_size=1, max_size=30))
    frame = catalogue.frame.iloc[rows]
    np.testing.assert_array_equal(catalogue.weights(frame), make(13).weights[rows])


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


def test_texts_that_look_like_numbers_stay_texts(tmp_path):
    shard = make(8)
    shard.instances["note"] = ["nan", "NA", "", "007", "1e5", "True", " ", "-inf"]
    shard.instances["empty"] = ""
    shard.instances["count"] = [0, -1, 2**63 - 1, -(2**63), 5, 6, 7, 8]
    shard.instances["measure"] = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e308, 0.1, 1 / 3]
    write_shard(tmp_path / "x.h5", shard)
    catalogue = Catalogue.build([tmp_path / "x.h5"])
    catalogue.save(tmp_path / "c.csv")
    loaded = Catalogue.load(tmp_path / "c.csv").frame
    pd.testing.assert_frame_equal(loaded, catalogue.frame, check_exact=True)
    assert list(loaded["note"]) == list(shard.instances["note"])
    assert np.signbit(loaded["measure"][3])


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


def test_verify_command_compares_with_the_architecture_where_torch_is(zoo, monkeypatch, capsys):
    shard = make(3)
    shard.arguments = {"channels": 1, "size": 8, "classes": 10}
    write_shard(zoo[0], shard)
    assert main(["verify", str(zoo[0])]) == 1
    assert "'layout' is not that of ResNet8 with channels 1" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "lib.zoo.store.registered")
    assert main(["verify", str(zoo[0])]) == 0
    assert "without torch layouts are not compared" in capsys.readouterr().err


def test_list_command(zoo, tmp_path, capsys):
    Catalogue.build(zoo).save(tmp_path / "catalogue.csv")
    assert main(["list", str(tmp_path / "catalogue.csv")]) == 0
    assert "ResNet8\ttest\tok\t3" in capsys.readouterr().out
    assert main(["list", str(tmp_path / "none.csv")]) == 1


def test_errors_are_input_errors():
    assert issubclass(ShardError, InputError)
    assert issubclass(CatalogueError, InputError)

"""Published zoos: small files of exactly their layouts, with the traps that lie in them."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lib
from lib.cli import main
from lib.zoo import store
from lib.zoo.exchange import model_zoo_dataset, small_cnn_zoo
from lib.zoo.exchange.formats import read
from lib.zoo.exchange.importing import write_zoo
from lib.zoo.exchange.opening import ExchangeError
from lib.zoo.store import Catalogue
from published_zoos import (
    KERAS,
    Trap,
    keras_layout,
    make_model_zoo,
    make_small_cnn_zoo,
    original_cnn,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def shell(*arguments, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


# Small CNN Zoo


def keras_forward(flat: np.ndarray, x: Tensor, activation) -> Tensor:
    """What Keras computes, channels last, straight from its layout."""
    values = {
        row.varname: torch.from_numpy(flat[row.start_idx : row.end_idx]).reshape(eval(row.shape))
        for row in keras_layout().itertuples()
    }
    for layer, _ in KERAS[:-1]:
        kernel, bias = (values[f"sequential/{layer}/{v}:0"] for v in ("kernel", "bias"))
        patches = x.unfold(1, 3, 2).unfold(2, 3, 2)  # [B, h, w, in, 3, 3], no padding
        x = activation(torch.einsum("bhwcij,ijco->bhwo", patches, kernel) + bias)
    x = x.mean((1, 2))
    return x @ values["sequential/dense/kernel:0"] + values["sequential/dense/bias:0"]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, np.ndarray, Catalogue]:
    folder = tmp_path_factory.mktemp("small")
    weights = make_small_cnn_zoo(folder / "cifar10")
    write_zoo(small_cnn_zoo.read(folder / "cifar10"), folder / "zoo")
    return folder / "cifar10", weights, Catalogue.load(folder / "zoo" / "catalogue.csv")


def test_keras_networks_compute_what_they_did(small):
    _, weights, catalogue = small
    x = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for row in catalogue.select().itertuples():
        activation = torch.relu if row.architecture == "SmallCNN_relu" else torch.tanh
        expected = keras_forward(weights[row.source_row], x.permute(0, 2, 3, 1), activation)
        with torch.no_grad():
            found = lib.load_network(catalogue, row.network)(x)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_final_checkpoints_are_chosen_and_what_is_not_finite_is_marked(small):
    folder, _, catalogue = small
    frame = catalogue.frame
    assert frame["step"].eq(86).all() and len(frame) == 5  # the crashed run has none
    assert frame["selected_epoch"].eq(85).all() and frame["checkpoint_epoch"].eq(-1).all()
    assert frame.set_index("run")["status"].eq("diverged").to_dict() == {
        f"/zoo/{run}": run == 3 for run in range(5)
    }
    assert len(catalogue.select()) == 4
    assert small_cnn_zoo.read(folder).skipped == {"runs without such a checkpoint": 1}


def test_metadata_come_under_the_formats_own_names(small):
    _, _, catalogue = small
    row = catalogue.frame.set_index("run").loc["/zoo/2"]
    assert row["architecture"] == "SmallCNN_relu" and row["seed"] == 42
    assert row["learning_rate"] == 0.01 / 3 and row["dropout"] == 0.2 and row["b_init"] == "zeros"
    assert row["test_accuracy"] == 0.53 and row["train_loss"] == 0.5
    header = store.read_header(catalogue.root / row["shard"])
    assert header.provenance.items() >= {"format": "small-cnn-zoo", "dataset": "cifar10"}.items()
    assert header.arguments == {"channels": 1, "size": 32, "classes": 10}
    digests = header.provenance["files"]
    assert set(digests) == {"weights.npy", "metrics.csv.gz", "layout.csv"}
    assert all(len(value) == 64 for value in digests.values())
    assert store.verify(catalogue.root / row["shard"]) == []


def test_all_checkpoints_stream_in_shards_and_a_run_keeps_one_split(small, tmp_path):
    folder, weights, _ = small
    source = small_cnn_zoo.read(folder, "all")
    catalogue = write_zoo(source, tmp_path / "zoo", shard_bytes=4 * 4970 * 10)
    frame = catalogue.frame
    assert len(catalogue.select(status=None)) == 6  # the last of each run is its result
    assert frame.groupby(["architecture", "instance"])["run"].nunique().eq(1).all()
    early = frame[frame["step"] == 20]
    assert early["checkpoint_epoch"].eq(20).all() and early["network"].str.endswith("-e0020").all()
    assert len(frame) == len(weights) and sorted(frame["source_row"]) == list(range(len(weights)))
    assert frame["shard"].nunique() == 6 and frame.groupby("shard").size().max() == 10
    assert frame.groupby("run")["split"].nunique().eq(1).all()
    assert set(frame.groupby("architecture")["split"].agg(set).map(len)) == {3}
    chosen = small_cnn_zoo.read(folder, (0, 20)).table
    assert set(chosen["step"]) == {0, 20} and len(chosen) == 12


def test_older_names_and_the_shell(small, tmp_path, capsys):
    folder, _, catalogue = small
    old = tmp_path / "old"
    old.mkdir()
    (old / "all_weights.npy").write_bytes((folder / "weights.npy").read_bytes())
    text = gzip.decompress((folder / "metrics.csv.gz").read_bytes())
    (old / "all_metrics.csv").write_bytes(text)
    (old / "layout.csv").write_bytes((folder / "layout.csv").read_bytes())
    shell("import", "small-cnn-zoo", old, "--out", tmp_path / "zoo", "--checkpoints", "86")
    said = capsys.readouterr()
    assert "  diverged  1\n" in said.out
    assert "1 runs without such a checkpoint" in said.err
    again = Catalogue.load(tmp_path / "zoo" / "catalogue.csv")
    pd.testing.assert_frame_equal(again.frame, catalogue.frame)
    for name in ("SmallCNN_relu", "SmallCNN_tanh"):
        one, other = (c.weights(c.select(name, status=None)) for c in (again, catalogue))
        assert one.tobytes() == other.tobytes()


def edit(name: str, change):
    def spoil(folder: Path) -> None:
        table = change(pd.read_csv(folder / name))
        (pd.DataFrame.to_csv)(table, folder / name, index=False)

    return spoil


def swapped(layout: pd.DataFrame) -> pd.DataFrame:
    layout.loc[[0, 1], "varname"] = layout.loc[[1, 0], "varname"].to_numpy()
    return layout


SPOILT = {
    "no weights": (lambda p: (p / "weights.npy").unlink(), "there is no weights.npy or all_weig"),
    "pickled objects": (
        lambda p: np.save(p / "weights.npy", np.array([Trap(p / "sprung")]), allow_pickle=True),
        "weights.npy: not a NumPy matrix of numbers",
    ),
    "a bare pickle": (
        lambda p: (p / "weights.npy").write_bytes(pickle.dumps(Trap(p / "sprung"))),
        "weights.npy: not a NumPy matrix of numbers",
    ),
    "a cut matrix": (
        lambda p: (p / "weights.npy").write_bytes((p / "weights.npy").read_bytes()[:5000]),
        "weights.npy: not a NumPy matrix",
    ),
    "other rows": (
        edit("metrics.csv.gz", lambda t: t.iloc[1:]),
        "metrics.csv.gz: 52 rows, but weights.npy has 53",
    ),
    "cut metrics": (
        lambda p: (p / "metrics.csv.gz").write_bytes((p / "metrics.csv.gz").read_bytes()[:99]),
        "metrics.csv.gz: cannot be read as a table",
    ),
    "no step": (
        edit("metrics.csv.gz", lambda t: t.drop(columns="step")),
        "metrics.csv.gz: the column 'step' is missing",
    ),
    "another activation": (
        edit("metrics.csv.gz", lambda t: t.assign(**{"config.activation": "selu"})),
        "metrics.csv.gz: activation 'selu'; known are relu, tanh",
    ),
    "another data set": (
        edit("metrics.csv.gz", lambda t: t.assign(**{"config.dataset": "eurosat"})),
        "data set 'eurosat': give the size",
    ),
    "a layout with a gap": (
        edit("layout.csv", lambda t: t.drop(index=2)),
        "layout.csv: sequential/conv2d_1/kernel:0 .* expected 160 to 2464",
    ),
    "a short layout": (
        edit("layout.csv", lambda t: t.iloc[:6]),
        "layout.csv: describes 4800 numbers of a network, the matrix has 4970",
    ),
    "kernel and bias swapped": (
        edit("layout.csv", swapped),
        "layout.csv: sequential/conv2d is no convolution or dense layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_no_small_cnn_zoo_is_one_clear_error(tmp_path, what):
    spoil, message = SPOILT[what]
    make_small_cnn_zoo(tmp_path)
    spoil(tmp_path)
    with pytest.raises(ExchangeError, match=message):
        write_zoo(small_cnn_zoo.read(tmp_path), tmp_path / "zoo")
    assert not (tmp_path / "sprung").exists() and not (tmp_path / "zoo").exists()


# ModelZooDataset


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return make_model_zoo(tmp_path_factory.mktemp("raw") / "tune_zoo_mnist_uniform")


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_networks_with_and_without_dropout_compute_what_they_did(raw, tmp_path, dropout):
    catalogue = write_zoo(model_zoo_dataset.read(raw), tmp_path / "zoo")
    assert catalogue.frame["architecture"].eq("ModelZooCNN_tanh").all()
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    chosen = catalogue.frame[catalogue.frame["dropout"] == dropout]
    assert len(chosen) == 3
    for row in chosen.itertuples():
        module = original_cnn(1, dropout)
        module.load_state_dict(torch.load(raw / row.source, weights_only=True))
        with torch.no_grad():
            expected = x
            for layer in module.module_list:
                expected = layer(expected)
            found = lib.load_network(catalogue, row.network)(x)
        torch.testing.assert_close(found, expected)
    assert not list(raw.rglob("sprung"))


def test_metrics_are_those_of_the_checkpoints_iteration(raw, tmp_path):
    source = model_zoo_dataset.read(raw, "all")
    frame = write_zoo(source, tmp_path / "zoo", (0.3, 0.3)).frame
    assert len(frame) == 18 and source.skipped == {"runs without such a checkpoint": 1}
    for row in frame.itertuples():
        number = row.training_iteration
        assert row.checkpoint_epoch == (-1 if number == 2 else number)
        assert row.selected_epoch == number - 1
        assert row.test_accuracy == pytest.approx(0.2 * number + row.seed / 100)
        assert row.validation_accuracy == pytest.approx(0.3 * number)
        assert np.isnan(row.train_accuracy) == np.isnan(row.train_loss) == (number == 0)
    assert frame["batch_size"].eq(10).all() and frame["learning_rate"].eq(3e-4).all()
    assert frame.groupby("run")["split"].nunique().eq(1).all()
    assert frame.groupby("split")["run"].nunique().to_dict() == {
        "train": 2,
        "validation": 2,
        "test": 2,
    }
    header = store.read_header(tmp_path / "zoo" / frame["shard"][0])
    assert header.provenance.items() >= {"format": "model-zoo-dataset", "zoo": raw.name}.items()
    assert header.arguments == {"channels": 1, "size": 28, "classes": 10}
    assert len(frame["source_sha256"].iloc[0]) == 64


def test_the_last_checkpoint_of_each_run_is_the_final_one(raw, tmp_path, capsys):
    shell("import", "model-zoo-dataset", raw, "--out", tmp_path / "zoo")
    assert "1 runs without such a checkpoint" in capsys.readouterr().err
    frame = Catalogue.load(tmp_path / "zoo" / "catalogue.csv").frame
    assert frame["training_iteration"].tolist() == [2] * 6 and frame["epochs"].eq(50).all()
    assert frame["seed"].tolist() == list(range(6))
    table = read("model-zoo-dataset", raw, {"checkpoints": "1"}).table
    assert table["training_iteration"].tolist() == [1] * 6


def test_progress_csv_stands_in_and_a_resumed_run_counts_its_later_lines(tmp_path):
    folder = make_model_zoo(tmp_path / "zoo", 2)
    run = folder / "NN_tune_trainable_00000"
    (run / "result.json").unlink()
    (run / "progress.csv").write_text("training_iteration,test_acc\n1,0.1\n2,0.2\n1,0.15\n2,0.25\n")
    table = model_zoo_dataset.read(folder).table
    assert table["test_accuracy"].tolist() == [0.25, pytest.approx(0.41)]
    source = model_zoo_dataset.read(folder, (0,))
    assert source.skipped["checkpoints without a result line (kept, without metrics)"] == 1


def change_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


FIRST = "NN_tune_trainable_00000"
FAULTS = {
    "no config": (lambda p: (p / "config.json").unlink(), r"config\.json: no such file"),
    "a broken config": (lambda p: (p / "config.json").write_text("{"), r"config\.json: not JSON"),
    "no params": (lambda p: (p / FIRST / "params.json").unlink(), r"params\.json: no such file"),
    "another type": (
        lambda p: change_json(p / FIRST / "params.json", **{"model::type": "Resnet18"}),
        r"00000/params\.json: a network of type 'Resnet18' with 'tanh' is not known",
    ),
    "another nonlinearity": (
        lambda p: change_json(p / FIRST / "params.json", **{"model::nlin": "elu"}),
        r"params\.json: a network of type 'CNN' with 'elu'",
    ),
    "results that are none": (
        lambda p: (p / FIRST / "result.json").write_text('{"a": 1}\n'),
        r"result\.json: not the results of a run: no 'training_iteration'",
    ),
    "another index": (
        lambda p: change_json(p / "index_dict.json", kernel_no=[16, 32, 15, 20, 10]),
        r"layers of \[8, 6, 4, 20, 10\] units, index_dict\.json says \[16,",
    ),
    "a planted pickle": (
        lambda p: torch.save(
            {"w": Trap(p / "sprung")}, p / FIRST / "checkpoint_000002" / "checkpoints"
        ),
        r"checkpoint_000002/checkpoints: refused",
    ),
    "another network": (
        lambda p: torch.save(
            nn.Linear(2, 2).state_dict(), p / FIRST / "checkpoint_000002" / "checkpoints"
        ),
        r"checkpoints: 'weight' is not a parameter of module_list",
    ),
    "other channels": (
        lambda p: torch.save(
            original_cnn(3, 0).state_dict(),
            p / "NN_tune_trainable_00001" / "checkpoint_2" / "checkpoints",
        ),
        r"00001/checkpoint_2/checkpoints: its parameters are not those of ModelZooCNN_tanh",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_no_model_zoo_is_one_clear_error(tmp_path, what):
    spoil, message = FAULTS[what]
    folder = make_model_zoo(tmp_path / "raw", 2)
    spoil(folder)
    with pytest.raises(ExchangeError, match=message):
        write_zoo(model_zoo_dataset.read(folder), tmp_path / "zoo")
    assert not list(tmp_path.rglob("sprung")) and not (tmp_path / "zoo").exists()


def test_folders_that_hold_no_zoo_are_refused(tmp_path, capsys):
    for name in ("small-cnn-zoo", "model-zoo-dataset", "folder"):
        shell("import", name, tmp_path, "--out", tmp_path / "zoo", code=1)
        assert str(tmp_path) in capsys.readouterr().err
    with pytest.raises(ExchangeError, match="unknown format 'zip'"):
        read("zip", tmp_path)
    with pytest.raises(ExchangeError, match="give final, all, or numbers"):
        read("model-zoo-dataset", tmp_path, {"checkpoints": "last"})


# Their architectures


@pytest.mark.parametrize(
    ("name", "image", "parameters"),
    [
        ("SmallCNN_relu", (1, 28, 10), 4970),
        ("ModelZooCNN_tanh", (1, 28, 10), 2464),
        ("ModelZooCNN_gelu", (3, 28, 10), 2864),
        ("ModelZooCNN3_relu", (3, 32, 10), 10853),
    ],
)
def test_published_numbers_of_parameters(name, image, parameters):
    module = lib.nets.build(name, *image)
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert module(torch.zeros(2, *image[:1], image[1], image[1])).shape == (2, 10)


def test_the_larger_cnn_pools_after_every_convolution():
    module = lib.nets.build("ModelZooCNN3_silu", 3, 32, 10)
    x = y = torch.randn(2, 3, 32, 32)
    convolutions = [layer for layer in module.features if isinstance(layer, nn.Conv2d)]
    for convolution in convolutions:
        y = F.silu(F.max_pool2d(convolution(y), 2))
    expected = module.head[2](F.silu(module.head[0](y.flatten(1))))
    torch.testing.assert_close(module(x), expected)

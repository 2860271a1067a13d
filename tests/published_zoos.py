"""Zoos in the layouts that others publish, written small for tests."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

STEPS = (0, 1, 2, 3, 20, 40, 60, 80, 86)


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


# Small CNN Zoo

KERAS = [("conv2d", (3, 3, 1, 16)), ("conv2d_1", (3, 3, 16, 16)), ("conv2d_2", (3, 3, 16, 16)),
         ("dense", (16, 10))]  # fmt: skip


def keras_layout() -> pd.DataFrame:
    """Bias before kernel, end exclusive, shapes as Python prints them."""
    rows, at = [], 0
    for layer, shape in KERAS:
        for variable, dims in (("bias", shape[-1:]), ("kernel", shape)):
            end = at + int(np.prod(dims))
            rows.append((f"sequential/{layer}/{variable}:0", at, end, str(dims)))
            at = end
    return pd.DataFrame(rows, columns=["varname", "start_idx", "end_idx", "shape"])


def make_small_cnn_zoo(folder: Path, runs: int = 6) -> np.ndarray:
    """Nine checkpoints of each run (one run crashed after step 80), rows not in order of runs."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "config.activation": "tanh" if run % 2 else "relu",
            "config.b_init": "zeros",
            "config.dataset": "cifar10",
            "config.dnn_architecture": "cnn",
            "config.dropout": 0.1 * run,
            "config.epochs": 86,
            "config.epochs_between_checkpoints": 20,
            "config.learning_rate": 0.01 / (run + 1),
            "config.optimizer": "adam",
            "config.random_seed": 42,
            "config.train_fraction": 0.5,
            "modeldir": f"/zoo/{run}",
            "step": step,
            "test_accuracy": 0.1 + step / 200,
            "test_loss": 1.0,
            "train_accuracy": 0.1 + step / 100,
            "train_loss": np.nan if run == 3 else 0.5,
        }
        for step in STEPS
        for run in range(runs)
        if not (run == 5 and step == 86)
    ]
    table = pd.DataFrame(rows)
    weights = np.random.default_rng(0).normal(size=(len(table), 4970), scale=0.2)
    weights = weights.astype(np.float32)
    weights[(table["modeldir"] == "/zoo/3") & (table["step"] == 86), 7] = np.nan
    np.save(folder / "weights.npy", weights)
    table.to_csv(folder / "metrics.csv.gz")  # with an unnamed index column
    keras_layout().to_csv(folder / "layout.csv")
    return weights


# ModelZooDataset


def original_cnn(channels: int, dropout: float, nonlinearity=nn.Tanh) -> nn.Module:
    """A network as that zoo's state dicts come from: one list, dropout in it or not."""
    drop = [nn.Dropout(dropout)] if dropout > 0 else []
    layers = [nn.Conv2d(channels, 8, 5), nn.MaxPool2d(2, 2), nonlinearity(), *drop]
    layers += [nn.Conv2d(8, 6, 5), nn.MaxPool2d(2, 2), nonlinearity(), *drop]
    layers += [nn.Conv2d(6, 4, 2), nonlinearity(), nn.Flatten()]
    layers += [nn.Linear(36, 20), nonlinearity(), *drop, nn.Linear(20, 10)]
    module = nn.Module()
    module.module_list = nn.ModuleList(layers)
    return module.eval()


def make_run(folder: Path, config: dict, numbers=(0, 1, 2), style="checkpoint_{:06d}") -> None:
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(config))
    lines = []
    for number in numbers:
        torch.manual_seed(1000 * config["seed"] + number)
        place = folder / style.format(number)
        place.mkdir()
        module = original_cnn(1, config["model::dropout"])
        torch.save(module.state_dict(), place / "checkpoints")
        torch.save({"state": Trap(folder / "sprung")}, place / "optimizer")
        first = -999 if number == 0 else 0.1 * number
        lines.append(
            {
                "training_iteration": number,
                "train_acc": first,
                "train_loss": first,
                "test_acc": 0.2 * number + config["seed"] / 100,
                "test_loss": 2.0,
                "val_acc": 0.3 * number,
                "config": config,
            }
        )
    (folder / "result.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def make_model_zoo(folder: Path, runs: int = 6) -> Path:
    folder.mkdir(parents=True)
    shared = {
        "model::type": "CNN",
        "model::channels_in": 1,
        "model::o_dim": 4,  # as published; the networks have ten outputs
        "training::batchsize": 10,
        "training::epochs_train": 50,
        "dataset::dump": "/somewhere/dataset.pt",
    }
    (folder / "config.json").write_text(json.dumps(shared | {"seed": {"grid_search": [1, 2]}}))
    index = {"layer": [[0, "conv2d"], [3, "conv2d"], [6, "conv2d"], [9, "fc"], [11, "fc"]]}
    (folder / "index_dict.json").write_text(json.dumps(index | {"kernel_no": [8, 6, 4, 20, 10]}))
    (folder / "dataset.pt").write_bytes(pickle.dumps(Trap(folder / "sprung")))
    for run in range(runs):
        config = shared | {"model::nlin": "tanh", "model::dropout": 0.5 * (run % 2), "seed": run}
        config |= {"model::init_type": "uniform", "optim::optimizer": "adam", "optim::lr": 3e-4}
        style = "checkpoint_{}" if run == 1 else "checkpoint_{:06d}"
        make_run(folder / f"NN_tune_trainable_{run:05d}", config, style=style)
    crashed = folder / "NN_tune_trainable_99999"
    crashed.mkdir()
    (crashed / "params.json").write_text("{}")
    return folder

"""The Small CNN Zoo (Unterthiner et al. 2020, arXiv 2002.11448): one matrix, one table, one layout.

Its README and `train_network.py` (google-research/dnn_predict_accuracy) say what is read here: rows
are checkpoints, taken after 0, 1, 2, 3, 20, 40, 60, 80 and 86 epochs; columns are the variables of
a Keras model in the order of `layout.csv`, where the bias of a layer precedes its kernel.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.core.repro import file_sha256
from lib.core.untrusted import Bounded
from lib.nets.small_cnn import ACTIVATIONS
from lib.zoo.exchange.importing import Source
from lib.zoo.exchange.network import Form, Image
from lib.zoo.exchange.opening import ExchangeError

FORMAT, FINAL = "small-cnn-zoo", 86
FILES = {
    "weights": ("weights.npy", "all_weights.npy"),
    "metrics": ("metrics.csv.gz", "metrics.csv", "all_metrics.csv.gz", "all_metrics.csv"),
    "layout": ("layout.csv",),
}
SIZES = {"mnist": 28, "fashion_mnist": 28, "cifar10": 32, "svhn_cropped": 32}
NEEDED = ("config.activation", "config.dataset", "modeldir", "step")
COLUMNS = {"modeldir": "run", "config.random_seed": "seed"}  # theirs: ours
# Keras kernels [h, w, in, out] and [in, out] as PyTorch has them
ORDER = {4: (3, 2, 0, 1), 2: (1, 0)}
PREPROCESSING = "values in [-1, 1]; colours averaged to one grey channel"


def read(
    folder: Path, checkpoints: str | tuple[int, ...] = "final", size: int | None = None
) -> Source:
    """A folder with the unpacked files of one data set; the weights are mapped, not loaded.

    Args:
        folder: where they lie.
        checkpoints: `final` (those after 86 epochs), `all`, or numbers of epochs.
        size: image size in pixels, for data sets whose size is not known here.

    Raises:
        ExchangeError: naming the file that is missing or not as described, and what is wrong.
    """
    paths = {what: _find(folder, names) for what, names in FILES.items()}
    weights, table = _weights(paths["weights"]), _metrics(paths["metrics"])
    if len(weights) != len(table):
        raise ExchangeError(
            f"{paths['metrics']}: {len(table)} rows, but {paths['weights'].name} has {len(weights)}"
        )
    layers = _layers(paths["layout"], weights.shape[1])
    forms = _forms(table, layers, paths, size)
    names = [entry.name for entry in next(iter(forms.values())).layout.entries]

    chosen = (
        table
        if checkpoints == "all"
        else table[table["step"].isin([FINAL] if checkpoints == "final" else checkpoints)]
    )
    if chosen.empty:
        steps = ", ".join(map(str, sorted(table["step"].unique())))
        raise ExchangeError(f"{paths['metrics']}: no checkpoint asked for; steps are {steps}")
    runs = table["modeldir"].nunique() - chosen["modeldir"].nunique()
    rows = chosen.assign(
        architecture="SmallCNN_" + chosen["config.activation"],
        passed=chosen["step"],
        source_row=chosen.index,
    ).drop(columns="config.activation")
    rows = rows.rename(columns=COLUMNS).rename(columns=lambda name: name.removeprefix("config."))

    def states(piece: pd.DataFrame) -> dict[str, Tensor]:
        flat = torch.from_numpy(np.asarray(weights[piece["source_row"].to_numpy()], np.float32))
        return dict(zip(names, (_tensor(flat, *layer) for layer in layers), strict=True))

    provenance = {
        "format": FORMAT,
        "dataset": str(table["config.dataset"].iloc[0]),
        "preprocessing": PREPROCESSING,
        "files": {path.name: file_sha256(path) for path in paths.values()},
    }
    skipped = {"runs without such a checkpoint": runs} if runs else {}
    return Source(rows, forms, states, provenance, skipped)


def _find(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ExchangeError(f"{folder}: there is no {' or '.join(names)}")


def _weights(path: Path) -> np.ndarray:
    try:
        weights = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, TokenError) as error:
        raise ExchangeError(f"{path}: not a NumPy matrix of numbers: {error}") from None
    if not isinstance(weights, np.ndarray) or weights.ndim != 2 or weights.dtype.kind != "f":
        raise ExchangeError(f"{path}: not a NumPy matrix of floats")
    return weights


def _metrics(path: Path) -> pd.DataFrame:
    table = _csv(path, NEEDED, ("step",))
    table = table.loc[:, ~table.columns.str.startswith("Unnamed:")]
    activations = table["config.activation"]
    if unknown := sorted(set(activations.astype(str)) - set(ACTIVATIONS)):
        raise ExchangeError(
            f"{path}: activation {unknown[0]!r}; known are {', '.join(ACTIVATIONS)}"
        )
    if table["config.dataset"].nunique() != 1:
        raise ExchangeError(f"{path}: more than one data set in config.dataset")
    return table


def _csv(path: Path, needed: tuple[str, ...], integers: tuple[str, ...]) -> pd.DataFrame:
    try:
        with path.open("rb") as raw:
            packed = path.suffix == ".gz"
            stream = gzip.open(raw) if packed else raw
            table = pd.read_csv(Bounded(stream, path.stat().st_size))
    except (ValueError, OSError, EOFError, zlib.error, OverflowError) as error:
        raise ExchangeError(f"{path}: cannot be read as a table: {error}") from None
    for name in needed:
        if name not in table:
            raise ExchangeError(f"{path}: the column {name!r} is missing")
    for name in integers:
        if not pd.api.types.is_integer_dtype(table[name]):
            raise ExchangeError(f"{path}: column {name!r} holds more than integers")
    return table


def _layers(path: Path, width: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """Place and Keras shape of each variable: layer by layer, kernel then bias as we store them."""
    places = ("start_idx", "end_idx")
    table = _csv(path, ("varname", *places, "shape"), places)
    found: dict[str, dict[str, tuple[int, int, tuple[int, ...]]]] = {}
    at = 0
    for row in table.sort_values("start_idx").itertuples():
        layer, _, variable = str(row.varname).removesuffix(":0").rpartition("/")
        shape = tuple(map(int, re.findall(r"\d+", str(row.shape))))
        if variable not in ("kernel", "bias"):
            raise ExchangeError(f"{path}: {row.varname!r} is neither a kernel nor a bias")
        if row.start_idx != at or row.end_idx - row.start_idx != math.prod(shape):
            raise ExchangeError(
                f"{path}: {row.varname} of shape {shape} at {row.start_idx} to {row.end_idx}, "
                f"expected {at} to {at + math.prod(shape)}"
            )
        at = int(row.end_idx)
        found.setdefault(layer, {})[variable] = (int(row.start_idx), at, shape)
    if at != width:
        raise ExchangeError(f"{path}: describes {at} numbers of a network, the matrix has {width}")
    for layer, variables in found.items():
        if set(variables) != {"kernel", "bias"} or len(variables["kernel"][2]) not in ORDER:
            raise ExchangeError(f"{path}: {layer} is no convolution or dense layer with a bias")
    return [found[layer][variable] for layer in found for variable in ("kernel", "bias")]


def _forms(
    table: pd.DataFrame, layers: list, paths: dict[str, Path], size: int | None
) -> dict[str, Form]:
    dataset = str(table["config.dataset"].iloc[0])
    size = size or SIZES.get(dataset)
    if size is None:
        raise ExchangeError(
            f"{paths['metrics']}: data set {dataset!r}: give the size of its images"
        )
    kernels = [shape for _, _, shape in layers[::2]]
    image = Image(kernels[0][-2], size, kernels[-1][-1])
    names = [f"SmallCNN_{name}" for name in table["config.activation"].unique()]
    forms = {name: Form(name, image) for name in sorted(names)}
    expected = [entry.shape for entry in forms[min(forms)].layout.entries]
    if expected != [_turned(shape) for _, _, shape in layers]:
        raise ExchangeError(
            f"{paths['layout']}: layers {', '.join(map(str, kernels))} are not those of the "
            "network of the Small CNN Zoo"
        )
    return forms


def _turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in ORDER.get(len(shape), range(len(shape))))


def _tensor(flat: Tensor, start: int, end: int, shape: tuple[int, ...]) -> Tensor:
    """One variable [n, ...] of networks [n, P], in PyTorch's order of axes."""
    value = flat[:, start:end].reshape(len(flat), *shape)
    axes = ORDER.get(len(shape), range(len(shape)))
    return value.permute(0, *(axis + 1 for axis in axes))

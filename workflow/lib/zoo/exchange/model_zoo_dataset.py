"""Raw folders of the ModelZooDataset (Schuerholt et al. 2022, arXiv 2209.14764).

A zoo is `config.json`, `index_dict.json` and one folder `NN_tune_trainable_*` for each run, with
`params.json`, `result.json` (a JSON object per line) or `progress.csv`, and `checkpoint_<N>` or
`checkpoint_<N:06d>` holding `checkpoints`, a state dict. The datasets in `*.pt` files are pickled
objects and are not touched. What else its authors' code says and is minded here: dropout shifts the
numbers of layers, so layers are matched in order; `model::o_dim` does not tell the classes; -999
stands for a metric not measured; lines do not start at iteration 0 or 1 alike, so checkpoint N is
matched with the line whose `training_iteration` is N.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from lib.core.repro import file_sha256
from lib.core.untrusted import regular
from lib.engine.ensemble import stack_states
from lib.nets.model_zoo_cnn import NONLINEARITIES, PRESETS
from lib.zoo.exchange.files import read_state
from lib.zoo.exchange.importing import Source
from lib.zoo.exchange.network import Form, Image
from lib.zoo.exchange.opening import ExchangeError

FORMAT, RUNS = "model-zoo-dataset", "NN_tune_trainable_*"
TYPES = {"CNN": "ModelZooCNN", "CNN3": "ModelZooCNN3"}
SETTINGS = {
    "optim::lr": "learning_rate",
    "optim::wd": "weight_decay",
    "optim::momentum": "momentum",
    "optim::optimizer": "optimizer",
    "training::batchsize": "batch_size",
    "training::epochs_train": "epochs",
    "model::nlin": "activation",
    "model::dropout": "dropout",
    "model::init_type": "init_type",
    "seed": "seed",
}
METRICS = {
    f"{split}_{short}": f"{ours}_{long}"
    for split, ours in (("train", "train"), ("val", "validation"), ("test", "test"))
    for short, long in (("loss", "loss"), ("acc", "accuracy"))
}
NOT_MEASURED = -999


def read(folder: Path, checkpoints: str | tuple[int, ...] = "final") -> Source:
    """A raw zoo folder.

    Args:
        folder: the one with `config.json`.
        checkpoints: `final` (the last checkpoint of each run), `all`, or their numbers.

    Raises:
        ExchangeError: naming the file that is missing or not as described, and what is wrong.
    """
    shared = _json(folder / "config.json")
    runs = sorted(path for path in folder.glob(RUNS) if path.is_dir())
    if not runs:
        raise ExchangeError(f"{folder}: holds no run ({RUNS})")
    rows, forms, empty, unmatched = [], {}, 0, 0
    for run in runs:
        found = _checkpoints(run)
        numbers = sorted(found) if checkpoints == "all" else sorted(found)[-1:]
        if isinstance(checkpoints, tuple):
            numbers = [number for number in checkpoints if number in found]
        empty += not numbers
        if not numbers:
            continue
        config = shared | _json(run / "params.json")
        results = _results(run)
        name = _architecture(run, config)
        if name not in forms:
            forms[name] = _form(name, found[numbers[0]], folder / "index_dict.json")
        settings = {ours: config.get(theirs) for theirs, ours in SETTINGS.items()}
        for number in numbers:
            unmatched += number not in results
            rows.append(
                {"architecture": name, "run": run.name, "passed": number}
                | {"training_iteration": number}
                | {k: v for k, v in settings.items() if not isinstance(v, list | dict)}
                | _metrics(results.get(number, {}))
                | {
                    "source": found[number].relative_to(folder).as_posix(),
                    "source_sha256": file_sha256(found[number]),
                }
            )
    if not rows:
        raise ExchangeError(f"{folder}: no run has a checkpoint asked for")
    table = pd.DataFrame(rows).dropna(axis=1, how="all")
    table = table.sort_values("architecture", kind="stable", ignore_index=True)

    def states(piece: pd.DataFrame) -> dict[str, Tensor]:
        form = forms[piece["architecture"].iloc[0]]
        return stack_states([_renamed(form, folder / path) for path in piece["source"]])

    provenance = {
        "format": FORMAT,
        "zoo": folder.resolve().name,
        "files": {
            path.name: file_sha256(path)
            for path in (folder / "config.json", folder / "index_dict.json")
            if path.is_file()
        },
    }
    skipped = {
        "runs without such a checkpoint": empty,
        "checkpoints without a result line (kept, without metrics)": unmatched,
    }
    return Source(table, forms, states, provenance, {k: v for k, v in skipped.items() if v})


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(regular(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ExchangeError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExchangeError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ExchangeError(f"{path}: not a JSON object")
    return found


def _checkpoints(run: Path) -> dict[int, Path]:
    """The state-dict file of each checkpoint by its number, however that is written."""
    found = {}
    for folder in run.glob("checkpoint_*"):
        number = re.fullmatch(r"checkpoint_(\d+)", folder.name)
        if number and (folder / "checkpoints").is_file():
            found[int(number[1])] = folder / "checkpoints"
    return found


def _results(run: Path) -> dict[int, Mapping[str, Any]]:
    """Result lines by `training_iteration`; of a run that was resumed, the later line counts."""
    path = run / "result.json"
    try:
        if path.is_file():
            lines = _lines(path.read_text(encoding="utf-8-sig").splitlines())
        else:
            path = run / "progress.csv"
            lines = pd.read_csv(path).to_dict("records") if path.is_file() else []
        return {int(line["training_iteration"]): line for line in lines}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise ExchangeError(f"{path}: not the results of a run: {what}") from None


def _lines(texts: list[str]) -> list[Any]:
    """Result lines; a last one that was cut short, by a run that was killed, is left out."""
    texts = [text for text in texts if text.strip()]
    found = [json.loads(text) for text in texts[:-1]]
    with suppress(ValueError):
        found += [json.loads(text) for text in texts[-1:]]
    return found


def _metrics(line: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for theirs, ours in METRICS.items():
        value = line.get(theirs)
        missing = not isinstance(value, int | float) or value == NOT_MEASURED
        found[ours] = float("nan") if missing else float(value)
    return found


def _architecture(run: Path, config: Mapping[str, Any]) -> str:
    kind, nonlinearity = config.get("model::type"), config.get("model::nlin")
    if kind not in TYPES or nonlinearity not in NONLINEARITIES:
        raise ExchangeError(
            f"{run / 'params.json'}: a network of type {kind!r} with {nonlinearity!r} is not known "
            f"here; known are {', '.join(TYPES)} with {', '.join(NONLINEARITIES)}"
        )
    return f"{TYPES[kind]}_{nonlinearity}"


def _form(name: str, path: Path, index: Path) -> Form:
    """The form of an architecture, with channels and classes of the network at `path`."""
    weights = [value for value in _layers(path) if value.ndim > 1]
    if len(weights) < 2 or weights[0].ndim != 4:
        raise ExchangeError(f"{path}: not the layers of {name}")
    if index.is_file():
        expected = _json(index).get("kernel_no")
        if expected is not None and expected != [len(value) for value in weights]:
            raise ExchangeError(
                f"{path}: layers of {[len(value) for value in weights]} units, {index.name} says "
                f"{expected}"
            )
    size = PRESETS[name.rpartition("_")[0]][0]
    return Form(name, Image(weights[0].shape[1], size, len(weights[-1])))


def _layers(path: Path) -> list[Tensor]:
    """The parameters in the order of their layers, of each the weight first."""
    state = read_state(path)
    places = {name: re.fullmatch(r"module_list\.(\d+)\.(weight|bias)", name) for name in state}
    if odd := [name for name, place in places.items() if not place]:
        raise ExchangeError(f"{path}: {odd[0]!r} is not a parameter of module_list")
    order = sorted(state, key=lambda name: (int(places[name][1]), places[name][2] == "bias"))
    return [state[name] for name in order]


def _renamed(form: Form, path: Path) -> dict[str, Tensor]:
    """The state at `path` under our names."""
    values, entries = _layers(path), form.layout.entries
    if [tuple(value.shape) for value in values] != [entry.shape for entry in entries]:
        raise ExchangeError(f"{path}: its parameters are not those of {form.architecture}")
    return {entry.name: value for entry, value in zip(entries, values, strict=True)}

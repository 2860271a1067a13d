"""The files a report is made of: read once, checked against the contract of their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lib.core.errors import InputError

COLUMNS = {
    "catalogue": ("network", "architecture", "split", "status", "validation_accuracy"),
    "latent_map": (
        "network",
        "architecture",
        "split",
        "validation_accuracy",
        "predicted_architecture",
        "x",
        "y",
        "seed",
    ),
    "reconstruction": (
        "network",
        "architecture",
        "method",
        "predicted_architecture",
        "target_accuracy",
        "accuracy",
        "agreement",
        "agreement_other",
        "embedder",
        "seed",
    ),
    "interpolation": ("pair", "method", "gamma", "predicted_architecture", "accuracy", "seed"),
    "latent_optimization": (
        "architecture",
        "method",
        "step",
        "validation_accuracy",
        "test_accuracy",
    ),
    "novelty": (
        "network",
        "architecture",
        "kind",
        "accuracy",
        "nearest_weights",
        "weight_distance",
        "nearest_outputs",
        "agreement",
        "error_overlap",
        "aligned_distance",
        "seed",
    ),
    "retrieval": (
        "network",
        "architecture",
        "method",
        "neighbours",
        "precision_architecture",
        "chance_architecture",
        "precision_band",
        "chance_band",
        "precision_band_within",
        "chance_band_within",
        "agreement_within",
        "chance_agreement_within",
        "seed",
    ),
    "unseen": (
        "left_out",
        "pair",
        "gamma",
        "architecture",
        "predicted_architecture",
        "accuracy",
        "method",
        "seed",
        "agreement_other",
    ),
    "unseen_finetune": (
        "left_out",
        "architecture",
        "method",
        "epochs",
        "network",
        "train_accuracy",
        "accuracy",
        "seed",
    ),
    "losses": ("step", "name", "value"),
}


class ReportError(InputError):
    """A file that a report is made of is missing, damaged or not what its name says."""


@dataclass(frozen=True)
class Prep:
    """One network as a 2D array, before and after the latent space: float32 [height, width]."""

    architecture: str
    network: str
    original: np.ndarray
    decoded: np.ndarray


@dataclass(frozen=True)
class MultiarchFiles:
    """Paths of everything the multi-architecture report shows; `losses` has one CSV per seed.

    `card` is that of an embedder.
    A study that leaves no architecture out has no `unseen` and no `unseen_finetune`.
    """

    catalogue: Path
    latent_map: Path
    reconstruction: Path
    interpolation: Path
    latent_optimization: Path
    novelty: Path
    retrieval: Path
    losses: Mapping[str, Path]
    preps: Path
    card: Path
    unseen: Path | None = None
    unseen_finetune: Path | None = None


@dataclass(frozen=True)
class MultiarchData:
    """The same, read: one frame per table, columns as in `COLUMNS` (more are welcome)."""

    catalogue: pd.DataFrame
    latent_map: pd.DataFrame
    reconstruction: pd.DataFrame
    interpolation: pd.DataFrame
    latent_optimization: pd.DataFrame
    novelty: pd.DataFrame
    retrieval: pd.DataFrame
    losses: dict[str, pd.DataFrame]
    preps: list[Prep]
    parameters: dict[str, int]
    latent: int
    unseen: tuple[pd.DataFrame, pd.DataFrame] | None

    @classmethod
    def load(cls, files: MultiarchFiles) -> MultiarchData:
        """Read all files; `ReportError` names the first one that does not keep the contract."""
        optimization = read_table(files.latent_optimization, "latent_optimization")
        for column, default in (("start", ""), ("seed", 0)):
            if column not in optimization:
                optimization[column] = default
        optimization["start"] = optimization["start"].fillna("").astype(str)
        optimization["seed"] = optimization["seed"].fillna(0)
        return cls(
            catalogue=results_alone(read_table(files.catalogue, "catalogue")),
            latent_map=read_table(files.latent_map, "latent_map"),
            reconstruction=read_table(files.reconstruction, "reconstruction"),
            interpolation=read_table(files.interpolation, "interpolation"),
            latent_optimization=optimization,
            novelty=read_table(files.novelty, "novelty"),
            retrieval=read_table(files.retrieval, "retrieval"),
            losses={seed: read_table(path, "losses") for seed, path in files.losses.items()},
            preps=read_preps(files.preps),
            **read_card(files.card),
            unseen=(
                read_table(files.unseen, "unseen"),
                read_table(files.unseen_finetune, "unseen_finetune"),
            )
            if files.unseen
            else None,
        )


def read_table(
    path: str | Path, kind: str, columns: Mapping[str, tuple[str, ...]] = COLUMNS
) -> pd.DataFrame:
    """Read the CSV at `path`; it must have the `columns` of its `kind` and at least one row."""
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the report needs the {kind} table") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: not a readable CSV ({error})") from None
    missing = [column for column in columns[kind] if column not in frame]
    if missing:
        raise ReportError(
            f"{path}: lacks column {', '.join(missing)}; the {kind} table has the columns "
            f"{', '.join(columns[kind])}"
        )
    if frame.empty:
        raise ReportError(f"{path}: holds no row; the {kind} table needs at least one")
    return frame


def results_alone(catalogue: pd.DataFrame) -> pd.DataFrame:
    """The networks of a catalogue without intermediate checkpoints of the same networks."""
    if "checkpoint_epoch" not in catalogue:
        return catalogue
    return catalogue[~(catalogue["checkpoint_epoch"] >= 0)].reset_index(drop=True)


def read_card(path: str | Path) -> dict[str, Any]:
    """`parameters` of each architecture and numbers of a `latent`, from an embedder's card."""
    try:
        card = json.loads(Path(path).read_text())
        return {"parameters": dict(card["parameters"]), "latent": int(card["embedder"]["latent"])}
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the report needs the embedder's card") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ReportError(f"{path}: not the card of an embedder ({error!r})") from None


def read_preps(path: str | Path) -> list[Prep]:
    """Read groups `<architecture>/{original,decoded}` with the attribute `network`."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return [_prep(name, group, path) for name, group in file.items()]
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the report needs the PRep pictures") from None
    except OSError as error:
        raise ReportError(f"{path}: not a readable HDF5 file ({error})") from None


def _prep(name: str, group: h5py.Group, path: str | Path) -> Prep:
    if not {"original", "decoded"} <= set(group):
        raise ReportError(f"{path}: group {name} needs the datasets original and decoded")
    original, decoded = (np.asarray(group[key], np.float32) for key in ("original", "decoded"))
    if original.ndim != 2 or original.shape != decoded.shape:
        raise ReportError(
            f"{path}: {name}/original is {original.shape} and {name}/decoded {decoded.shape}; "
            "both must be one [height, width]"
        )
    return Prep(name, str(group.attrs.get("network", "")), original, decoded)

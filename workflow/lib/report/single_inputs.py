"""The files that the report on one architecture is made of, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.report.inputs import COLUMNS as COMMON
from lib.report.inputs import read_table, results_alone

COLUMNS = {
    "catalogue": (*COMMON["catalogue"], "epochs"),
    "latent_map": (
        "network",
        "split",
        "epochs",
        "validation_accuracy",
        "x",
        "y",
        "seed",
        "explained_x",
        "explained_y",
    ),
    "reconstruction": (
        "network",
        "epochs",
        "method",
        "target_accuracy",
        "accuracy",
        "agreement",
        "agreement_other",
        "embedder",
        "seed",
        "latent",
        "compression",
    ),
    "interpolation": ("pair", "ends", "method", "gamma", "accuracy", "seed"),
    "latent_optimization": (
        "start",
        "method",
        "step",
        "validation_accuracy",
        "test_accuracy",
        "seed",
    ),
    "property_prediction": (
        "features",
        "model",
        "target",
        "r2",
        "r2_low",
        "r2_high",
        "kendall_tau",
        "tau_low",
        "tau_high",
        "networks",
        "seed",
    ),
    "sampling": ("network", "kind", "band", "epochs", "accuracy", "seed"),
    "novelty": (
        "network",
        "kind",
        "band",
        "accuracy",
        "nearest_weights",
        "weight_distance",
        "nearest_outputs",
        "agreement",
        "error_overlap",
        "seed",
    ),
    "arithmetic": (
        "network",
        "band",
        "method",
        "scale",
        "accuracy",
        "change",
        "chosen",
        "seed",
    ),
    "losses": COMMON["losses"],
}


@dataclass(frozen=True)
class SinglearchFiles:
    """Paths of everything the report on one architecture shows; `losses` has one CSV per seed."""

    catalogue: Path
    latent_map: Path
    reconstruction: Path
    interpolation: Path
    latent_optimization: Path
    property_prediction: Path
    sampling: Path
    novelty: Path
    arithmetic: Path
    losses: Mapping[str, Path]


TABLES = tuple(name for name in COLUMNS if name != "losses")


@dataclass(frozen=True)
class SinglearchData:
    """The same, read: one frame per table, columns as in `COLUMNS` (more are welcome)."""

    catalogue: pd.DataFrame
    latent_map: pd.DataFrame
    reconstruction: pd.DataFrame
    interpolation: pd.DataFrame
    latent_optimization: pd.DataFrame
    property_prediction: pd.DataFrame
    sampling: pd.DataFrame
    novelty: pd.DataFrame
    arithmetic: pd.DataFrame
    losses: dict[str, pd.DataFrame]

    @classmethod
    def load(cls, files: SinglearchFiles) -> SinglearchData:
        """Read all files; `ReportError` names the first one that does not keep the contract."""
        read = {name: read_table(getattr(files, name), name, COLUMNS) for name in TABLES}
        read["catalogue"] = results_alone(read["catalogue"])
        for name in ("sampling", "novelty", "arithmetic"):
            read[name]["band"] = read[name]["band"].fillna("")
        losses = {seed: read_table(path, "losses") for seed, path in files.losses.items()}
        return cls(**read, losses=losses)

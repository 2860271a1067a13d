"""The files a page is made of: read once, checked against the contract of their columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lib.core.errors import InputError


class ReportError(InputError):
    """A file that a page is made of is missing, damaged or not what its name says."""


@dataclass(frozen=True)
class Prep:
    """One network as a 2D array, before and after the latent space: float32 [height, width]."""

    architecture: str
    network: str
    original: np.ndarray
    decoded: np.ndarray


def read_table(
    path: str | Path, kind: str, columns: Sequence[str], may_be_empty: bool = False
) -> pd.DataFrame:
    """The CSV at `path`, which must have these columns (more are welcome).

    Args:
        path: the file.
        kind: what the table is called in messages.
        columns: those of its kind, from `lib.experiments.columns`.
        may_be_empty: whether a table without rows is right.

    Raises:
        ReportError: there is no such file, it is no CSV, or lacks a column or rows.
    """
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the page needs the {kind} table") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: not a readable CSV ({error})") from None
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ReportError(
            f"{path}: lacks column {', '.join(missing)}; the {kind} table has the columns "
            f"{', '.join(columns)}"
        )
    if frame.empty and not may_be_empty:
        raise ReportError(f"{path}: holds no row; the {kind} table needs at least one")
    return frame


def results_alone(catalogue: pd.DataFrame) -> pd.DataFrame:
    """The networks of a catalogue without intermediate checkpoints of the same networks."""
    if "checkpoint_epoch" not in catalogue:
        return catalogue
    return catalogue[~(catalogue["checkpoint_epoch"] >= 0)].reset_index(drop=True)


def read_card(path: str | Path) -> dict[str, Any]:
    """`parameters` of each architecture and numbers of a `latent`, from an embedder's card.

    Raises:
        ReportError: there is no such file, or it is no card.
    """
    try:
        card = json.loads(Path(path).read_text())
        return {"parameters": dict(card["parameters"]), "latent": int(card["embedder"]["latent"])}
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the page needs the embedder's card") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ReportError(f"{path}: not the card of an embedder ({error!r})") from None


def read_preps(path: str | Path) -> list[Prep]:
    """Groups `<architecture>/{original,decoded}` with the attribute `network`.

    Raises:
        ReportError: there is no such file, or it does not hold such pairs.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            return [_prep(name, group, path) for name, group in file.items()]
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the page needs the PRep pictures") from None
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


def read_recognised(path: str | Path) -> list[str]:
    """What prepared images tell of their source, a sentence each."""
    try:
        with h5py.File(path, locking=False) as file:
            about = json.loads(file.attrs["about"])
            return [str(line) for line in about["said"]]
    except (OSError, KeyError, ValueError) as error:
        raise ReportError(f"{path}: not readable images ({error})") from None

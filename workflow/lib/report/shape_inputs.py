"""The files of the report on shapes: read once, checked against the contract of their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.report.inputs import ReportError, read_card, read_table

SCORES = ("chamfer", "fscore_001", "fscore_002", "iou", "normal_consistency")
COLUMNS = {
    "shapes": ("shape", "split", "source", "mended", "vertices", "triangles"),
    "left_out": ("file", "reason"),
    "catalogue": ("network", "shape", "split", "status", "mse", "sign_accuracy", "iou"),
    "latent_map": ("shape", "split", "iou", "x", "y", "seed"),
    "reconstruction": ("shape", "method", "embedder", "seed", *SCORES),
    "interpolation": (
        "pair",
        "first",
        "last",
        "point",
        "gamma",
        "method",
        "mesh",
        "volume",
        "parts",
        "nearest",
        "chamfer",
    ),
    "completion": ("shape", "method", "points", *SCORES),
    "sampling": ("method", "mesh", "volume", "parts", "nearest", "chamfer"),
}
TEXTS = (("shapes", "mended"), ("interpolation", "nearest"), ("sampling", "nearest"))
MAY_BE_EMPTY = ("left_out",)


@dataclass(frozen=True)
class ShapeFiles:
    """Paths of everything the report on shapes shows; `card` is that of an embedder."""

    shapes: Path
    left_out: Path
    catalogue: Path
    latent_map: Path
    reconstruction: Path
    interpolation: Path
    completion: Path
    sampling: Path
    scenes: Path
    card: Path


@dataclass(frozen=True)
class ShapeData:
    """The same, read: one frame per table, columns as in `COLUMNS` (more are welcome).

    Attributes:
        meshes: what `lib.report.scenes` made of meshes, by name.
        pictures: data URIs, by name of the mesh.
        triangles: how many a mesh on the page has at most.
        parameters: of a field.
        latent: numbers of a latent.
    """

    shapes: pd.DataFrame
    left_out: pd.DataFrame
    catalogue: pd.DataFrame
    latent_map: pd.DataFrame
    reconstruction: pd.DataFrame
    interpolation: pd.DataFrame
    completion: pd.DataFrame
    sampling: pd.DataFrame
    meshes: dict[str, str]
    pictures: dict[str, str]
    triangles: int
    parameters: int
    latent: int

    @classmethod
    def load(cls, files: ShapeFiles) -> ShapeData:
        """Read all files; `ReportError` names the first one that does not keep the contract."""
        tables = read_tables(vars(files))
        card = read_card(files.card)
        (parameters,) = card["parameters"].values()
        return cls(**tables, **_scenes(files.scenes), parameters=parameters, latent=card["latent"])


def read_tables(paths: Mapping[str, str | Path]) -> dict[str, pd.DataFrame]:
    """The tables of `COLUMNS` at these paths; empty texts are empty, not NaN.

    Raises:
        ReportError: as `read_table`.
    """
    tables = {name: _table(paths[name], name) for name in COLUMNS}
    for name, column in TEXTS:
        tables[name][column] = tables[name][column].fillna("")
    return tables


def _table(path: str | Path, kind: str) -> pd.DataFrame:
    if kind in MAY_BE_EMPTY and Path(path).is_file():
        frame = pd.read_csv(path)
        if list(frame.columns) == list(COLUMNS[kind]) and frame.empty:
            return frame
    return read_table(path, kind, COLUMNS)


def _scenes(path: str | Path) -> dict:
    try:
        found = json.loads(Path(path).read_text())
        return {name: found[name] for name in ("meshes", "pictures", "triangles")}
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the report needs the meshes it shows") from None
    except (ValueError, KeyError) as error:
        raise ReportError(f"{path}: not the meshes of a report ({error!r})") from None

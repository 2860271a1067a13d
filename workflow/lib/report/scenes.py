"""The turning meshes of a page on shapes: which mesh stands where, and the file that keeps them.

A mesh is named `original/<shape>`, or by its path below the space's folder of meshes:
`<experiment>/...`, without suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.report.blocks import Scene, Shown
from lib.report.inputs import ReportError
from lib.report.meshes import small
from lib.report.methods import look
from lib.report.section import PageData, one, read
from lib.report.style import percent
from lib.report.surfaces import label, length, pieces

SHOWN = 16  # test shapes whose meshes turn on the page, at most
RECONSTRUCTED = ("siren", "decoded", "nearest", "mean")
COMPLETED = ("completed", "scratch", "decoded")
METHODS = {"latent", "weights", "unseen", *RECONSTRUCTED, *COMPLETED}


def reconstruction(frame: pd.DataFrame) -> list[Scene]:
    """Original, own field, decoded and controls side by side, shape by shape (the first seed's)."""
    first = frame[frame["seed"] == frame["seed"].iloc[0]]
    scores = first.drop_duplicates(["shape", "method"]).set_index(["shape", "method"])
    methods = [name for name in RECONSTRUCTED if name in set(first["method"])]
    choices = []
    for shape in sorted(first["shape"].unique())[:SHOWN]:
        panels = [(f"original/{shape}", "")]
        for method in methods:
            scored = _scored(scores.loc[(shape, method)])
            panels.append((f"reconstruction/{method}/{shape}", scored))
        text = f"{shape}: decoded IoU {percent(scores.loc[(shape, 'decoded')]['iou'])}"
        choices.append(Shown(text, panels, [f"original/{shape}"]))
    return [
        Scene(
            "scene-reconstruction",
            "Test shape",
            [label(method) for method in ("original", *methods)],
            choices,
            "Drag to turn all of them, or use the arrow keys. Under each: IoU with the original "
            "and Chamfer distance to it, on the whole meshes.",
            "reconstruction",
        )
    ]


def interpolation(frame: pd.DataFrame) -> list[Scene]:
    """For each pair of test shapes, the way through the latent space and through the weights."""
    scenes = []
    for pair, rows in frame.groupby("pair", sort=True):
        methods = list(dict.fromkeys(rows["method"]))
        at = rows.set_index(["point", "method"])
        choices = []
        for point in sorted(rows["point"].unique()):
            some = [at.loc[(point, method)] for method in methods]
            panels = [(f"interpolation/{row['mesh']}", _described(row)) for row in some]
            choices.append(
                Shown(f"{100 * some[0]['gamma']:.0f} %", panels, [name for name, _ in panels])
            )
        ends = rows.iloc[0]
        scenes.append(
            Scene(
                f"scene-interpolation-{pair}",
                "How far along",
                [label(method) for method in methods],
                choices,
                "Above in the strip: in the latent space. Below: in the weights, whose ends are "
                "the shapes' own fields.",
                "interpolation",
                slider=True,
                title=f"From {ends['first']} to {ends['last']}",
            )
        )
    return scenes


def completion(frame: pd.DataFrame) -> list[Scene]:
    """Shapes from a part of their surface, beside the original and what the whole field gives."""
    methods = [name for name in COMPLETED if name in set(frame["method"])]
    scores = frame.set_index(["shape", "method"])
    choices = []
    for shape in sorted(frame["shape"].unique())[:SHOWN]:
        panels = [(f"original/{shape}", "")]
        for method in methods:
            panels.append((f"completion/{method}_{shape}", _scored(scores.loc[(shape, method)])))
        choices.append(Shown(shape, panels, [f"original/{shape}"]))
    return [
        Scene(
            "scene-completion",
            "Test shape",
            [label(method) for method in ("original", *methods)],
            choices,
            "Decoded: from the latent of the shape's whole field, for comparison.",
            "completion",
        )
    ]


def sampling(frame: pd.DataFrame) -> list[Scene]:
    """New shapes, each beside the training shape that is nearest to it."""
    choices = []
    for method, rows in frame.groupby("method", sort=False):
        for number, row in enumerate(rows.to_dict("records"), 1):
            nearest = row["nearest"]
            panels = [
                (f"sampling/{row['mesh']}", pieces(row["parts"])),
                (f"original/{nearest}" if nearest else "", nearest),
            ]
            near = f", Chamfer distance {length(row['chamfer'])}" if nearest else ""
            choices.append(Shown(f"{label(method)} {number}{near}", panels, [panels[0][0]]))
    return [
        Scene(
            "scene-sampling",
            "Shape",
            ["New shape", "Nearest training shape"],
            choices,
            "All of them are in the list and in the strip, in the order they were drawn.",
            "sampling",
        )
    ]


SCENES = {
    "reconstruction": reconstruction,
    "interpolation": interpolation,
    "completion": completion,
    "sampling": sampling,
}


def write_scenes(out: Path, tables: Mapping[str, Path], originals: Path, meshes: Path) -> int:
    """Make the meshes of a page small, draw pictures of them, and keep both in one JSON file.

    Args:
        out: the file, `scenes.json`.
        tables: CSVs by name: `latent_map`, whose shapes all have pictures, and those of the
            space's experiments.
        originals: folder of the original meshes, `<shape>.ply`.
        meshes: folder of the meshes that experiments made, `<experiment>/...`.

    Returns:
        How many meshes it holds.

    Raises:
        ReportError: a table is missing or lacks a column.
        DataError: a mesh is missing or cannot be read.
    """
    frames = {name: read(Path(path), name, "fields") for name, path in tables.items()}
    scenes = [scene for name in SCENES if name in frames for scene in SCENES[name](frames[name])]
    pictures = [name for scene in scenes for choice in scene.choices for name in choice.pictures]
    pictures += [f"original/{shape}" for shape in frames["latent_map"]["shape"].unique()]

    def files(names: list[str]) -> dict[str, Path]:
        return {name: _file(name, originals, meshes) for name in names}

    turning = files([name for scene in scenes for name in scene.meshes])
    made = small(turning, files(pictures), color_of)
    made.write(Path(out))
    return len(made.meshes)


def scenes_of(page: PageData, experiment: str) -> list[Scene]:
    """The scenes of an experiment.

    Raises:
        ReportError: a mesh that its table names is not among those of the page.
    """
    scenes = SCENES[experiment](page[experiment])
    for name in (name for scene in scenes for name in scene.meshes):
        if name not in page.meshes.meshes:
            path = one(page.files["scenes"])
            raise ReportError(f"{path}: lacks the mesh {name}, which a table names")
    return scenes


def color_of(name: str) -> str:
    """The color of a mesh, which says where it is from; the same wherever it is shown."""
    words = name.replace("/", "_").replace("-", "_").split("_")
    method = next((word for word in words if word in METHODS), "original")
    return look(method, "fields").color


def _file(name: str, originals: Path, meshes: Path) -> Path:
    folder, _, shape = name.partition("/")
    return Path(originals, f"{shape}.ply") if folder == "original" else Path(meshes, f"{name}.ply")


def _scored(row: pd.Series) -> str:
    return f"IoU {percent(row['iou'])}, Chamfer {length(row['chamfer'])}"


def _described(row: pd.Series) -> str:
    near = f"; nearest: {row['nearest']}, {length(row['chamfer'])}" if row["nearest"] else ""
    return pieces(row["parts"]) + near

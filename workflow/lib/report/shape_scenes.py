"""The turning meshes of the report on shapes: which mesh stands where, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lib.report.blocks import Scene, Shown
from lib.report.shape_style import label, length, pieces
from lib.report.style import percent

SHOWN = 16  # test shapes whose meshes turn on the page, at most
RECONSTRUCTED = ("siren", "decoded", "nearest", "mean")
COMPLETED = ("completed", "scratch", "decoded")


def reconstruction(frame: pd.DataFrame) -> Scene:
    """Original, own field, decoded and controls side by side, shape by shape (the first seed's)."""
    first = frame[frame["seed"] == frame["seed"].iloc[0]]
    scores = first.drop_duplicates(["shape", "method"]).set_index(["shape", "method"])
    methods = [name for name in RECONSTRUCTED if name in set(first["method"])]
    choices = []
    for shape in sorted(first["shape"].unique())[:SHOWN]:
        panels = [(f"original/{shape}", "")]
        for method in methods:
            row = scores.loc[(shape, method)]
            panels.append((f"{method}/{shape}", _scored(row)))
        text = f"{shape}: decoded IoU {percent(scores.loc[(shape, 'decoded')]['iou'])}"
        choices.append(Shown(text, panels, [f"original/{shape}"]))
    return Scene(
        "scene-reconstruction",
        "Test shape",
        [label(method) for method in ("original", *methods)],
        choices,
        "Drag to turn all of them, or use the arrow keys. Under each: IoU with the original and "
        "Chamfer distance to it, on the whole meshes.",
        "reconstruction",
    )


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


def completion(frame: pd.DataFrame) -> Scene:
    """Shapes from a part of their surface, beside the original and what the whole field gives."""
    methods = [name for name in COMPLETED if name in set(frame["method"])]
    scores = frame.set_index(["shape", "method"])
    choices = []
    for shape in sorted(frame["shape"].unique())[:SHOWN]:
        panels = [(f"original/{shape}", "")]
        for method in methods:
            panels.append((f"completion/{method}_{shape}", _scored(scores.loc[(shape, method)])))
        choices.append(Shown(shape, panels, [f"original/{shape}"]))
    return Scene(
        "scene-completion",
        "Test shape",
        [label(method) for method in ("original", *methods)],
        choices,
        "Decoded: from the latent of the shape's whole field, for comparison.",
        "completion",
    )


def sampling(frame: pd.DataFrame) -> Scene:
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
    return Scene(
        "scene-sampling",
        "Shape",
        ["New shape", "Nearest training shape"],
        choices,
        "All of them are in the list and in the strip, in the order they were drawn.",
        "sampling",
    )


def wanted(
    frames: dict[str, pd.DataFrame], latent_map: pd.DataFrame
) -> tuple[list[str], list[str]]:
    """Names of the meshes and of the pictures that the page needs.

    Args:
        frames: `reconstruction`, `interpolation`, `completion`, `sampling`.
        latent_map: whose shapes have pictures.
    """
    found = every(frames)
    pictures = [name for scene in found for choice in scene.choices for name in choice.pictures]
    pictures += [f"original/{shape}" for shape in latent_map["shape"].unique()]
    return [name for scene in found for name in scene.meshes], pictures


def every(frames: dict[str, pd.DataFrame]) -> list[Scene]:
    """All scenes of the page."""
    return [
        reconstruction(frames["reconstruction"]),
        *interpolation(frames["interpolation"]),
        completion(frames["completion"]),
        sampling(frames["sampling"]),
    ]


def missing(scenes: Iterable[Scene], meshes: Iterable[str]) -> list[str]:
    """Names of meshes that scenes show and that are not there."""
    known = set(meshes)
    return [name for scene in scenes for name in scene.meshes if name not in known]


def _scored(row: pd.Series) -> str:
    return f"IoU {percent(row['iou'])}, Chamfer {length(row['chamfer'])}"


def _described(row: pd.Series) -> str:
    near = f"; nearest: {row['nearest']}, {length(row['chamfer'])}" if row["nearest"] else ""
    return pieces(row["parts"]) + near

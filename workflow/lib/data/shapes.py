"""The shapes of a study: chairs made by itself, or some of the meshes of a folder or archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch

from lib.core.streams import Stream
from lib.data.archive import DataError
from lib.data.chairs import chair, draw
from lib.data.meshes import Mesh, load_meshes, normalised, read_mesh, write_mesh

PROCEDURAL = "procedural"


def check(source: str, where: str = "data.<data>") -> None:
    """Refuse a source that is not there, before any work starts; `where` is its block's place.

    Raises:
        DataError: there is nothing at this path.
    """
    if source != PROCEDURAL and not Path(source).exists():
        raise DataError(
            f"{where}.source is {source!r}, which is neither `{PROCEDURAL}` nor the path of a "
            "folder or archive"
        )


def unpack(source: str, folder: Path, stream: Stream) -> None:
    """Keep the meshes of a folder or archive that can be used, in the order they are drawn in.

    Writes `usable.csv` (file, mended), `left_out.csv` (file, reason) and a PLY file for each row of
    the first, by its number. How many a study uses changes none of them.

    Raises:
        DataError: the source cannot be read, or none of its meshes can be used.
    """
    usable, left_out = load_meshes(source)
    order = torch.randperm(len(usable), generator=stream.of("order").torch())
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for place, mesh in enumerate(usable[i] for i in order.tolist()):
        write_mesh(_kept(folder, place), mesh.vertices, mesh.faces)
        rows.append((mesh.name, mesh.mended))
    for name, columns, table in (
        ("usable", ("file", "mended"), rows),
        ("left_out", ("file", "reason"), list(left_out.items())),
    ):
        pd.DataFrame(table, columns=columns).to_csv(folder / f"{name}.csv", index=False)


def left_out(folder: str | Path | None) -> pd.DataFrame:
    """Which meshes of a source cannot be used and why: columns file, reason."""
    if folder is None:
        return pd.DataFrame(columns=["file", "reason"])
    return pd.read_csv(Path(folder) / "left_out.csv", dtype=str)


def shapes(
    folder: str | Path | None,
    instances: Sequence[int],
    stream: Stream,
    where: str = "zoos.<zoo>",
) -> Iterator[Mesh]:
    """The shapes of these numbers; a study with more of them begins with the same.

    Args:
        folder: of `unpack`; None for procedural chairs.
        instances: numbers of shapes.
        stream: that of the data; a chair draws from a stream of its own below it.
        where: the block of the config that asks for them, for messages.

    Raises:
        DataError: the source has fewer meshes that can be used.
    """
    if folder is None:
        yield from (_chair(instance, stream) for instance in instances)
        return
    usable = pd.read_csv(Path(folder) / "usable.csv", dtype=str, keep_default_na=False)
    if len(usable) <= max(instances, default=-1):
        raise DataError(
            f"the source has {len(usable)} meshes that can be used ({len(left_out(folder))} were "
            f"left out), the study needs {max(instances) + 1} or more; lower {where}.instances"
        )
    for instance in instances:
        mesh = read_mesh(_kept(Path(folder), instance))
        row = usable.iloc[instance]
        yield Mesh(row["file"], *mesh, row["mended"])


def _kept(folder: Path, place: int) -> Path:
    return folder / f"{place:05d}.ply"


def _chair(instance: int, stream: Stream) -> Mesh:
    vertices, faces = chair(draw(stream.of("chair", instance).numpy()))
    return Mesh(f"chair-{instance:04d}", normalised(vertices), faces)

"""The picture on the cover of the documents: a walk between two test shapes, seen twice."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.data.meshes import read_mesh, simplified
from lib.report.inputs import ReportError
from lib.report.meshes import drawn
from lib.report.style import FAINT, MUTED

PIXELS, TEXT, ABOVE = 150, 17, 30  # of a shape, of letters, and above each row
TRIANGLES = 6_000  # of a mesh in the picture
ROWS = {"latent": "through the latent space", "weights": "through the weights"}
COLORS = {"latent": "#3F97D2", "weights": FAINT}


def walk_picture(interpolation: pd.DataFrame, meshes: Path, pair: int = 0) -> bytes:
    """A PNG: the shapes on the way through the latent space, above those through the weights.

    Args:
        interpolation: the table `interpolation.csv` of a space of fields.
        meshes: the folder of the meshes that it names.
        pair: which walk.

    Raises:
        ReportError: the table has no such walk.
        DataError: a mesh is missing or cannot be read.
    """
    from PIL import Image, ImageDraw, ImageFont

    walk = interpolation[interpolation["pair"] == pair].sort_values("point")
    names: Mapping[str, list[str]] = {
        method: list(walk.loc[walk["method"] == method, "mesh"]) for method in ROWS
    }
    if not all(names.values()):
        raise ReportError(f"there is no walk {pair} through {' and '.join(ROWS)} in this table")
    size = (PIXELS * max(map(len, names.values())), (PIXELS + ABOVE) * len(ROWS))
    image = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(TEXT)
    for row, (method, words) in enumerate(ROWS.items()):
        top = row * (PIXELS + ABOVE)
        draw.text((TEXT, top + TEXT // 2), words, MUTED, font)
        for column, name in enumerate(names[method]):
            mesh = simplified(*read_mesh(meshes / f"{name}.ply"), TRIANGLES)
            shape = drawn(*mesh, COLORS[method], PIXELS)
            image.paste(shape, (column * PIXELS, top + ABOVE), shape)
    stream = io.BytesIO()
    image.quantize(64).save(stream, "PNG", optimize=True)
    return stream.getvalue()

"""Meshes on a page: few triangles in few bytes for `scenes.js`, and small pictures of them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from lib.data.meshes import read_mesh, simplified

TRIANGLES, FEWEST = 2000, 50  # of a mesh on a page
# Bytes of all meshes on a page, and of all pictures: a page also holds 4.8 MB of plotly.js.
MESHES, PICTURES = 6_000_000, 2_500_000
TRIANGLE_BYTES = 12  # 9 bytes (with half a vertex), in base64
PIXELS, FINER = 96, 3  # of a picture; it is drawn so much finer, for smooth edges
YAW, PITCH = -0.6, 0.35  # radians; scenes.js begins with the same view
# Towards the light, as the eye sees it: to the right, away, up. The same in scenes.js.
LIGHT = np.array([-0.36, -0.52, 0.77])
AMBIENT = 0.5
COLORS = {
    "original": "#6f7885",
    "siren": "#3F97D2",
    "decoded": "#C58A00",
    "latent": "#C58A00",
    "completed": "#C58A00",
    "nearest": "#117733",
    "mean": "#AA3377",
    "weights": "#AA3377",
    "scratch": "#AA3377",
    "unseen": "#6f7885",
}


def scenes(folder: str | Path, meshes: Iterable[str], pictures: Iterable[str]) -> dict:
    """What a page holds of meshes that lie in a folder.

    Args:
        folder: with the files `<name>.ply`.
        meshes: names of those that can be turned, such as `decoded/shape-0070`.
        pictures: names of those that have a picture; it is made of the first ones, as many as fit
            into `PICTURES` bytes.

    Returns:
        `meshes` and `pictures`, by name: base64 as `encoded` makes it, and data URIs. Also
        `triangles`, how many a mesh has at most: as many as fit into `MESHES` bytes.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    names = list(dict.fromkeys(meshes))
    triangles = min(TRIANGLES, MESHES // (TRIANGLE_BYTES * max(len(names), 1)))
    while True:
        small = {name: _read(folder, name, triangles) for name in names}
        packed = {name: encoded(*mesh) for name, mesh in small.items()}
        # Open surfaces have more vertices than half their triangles.
        over = sum(map(len, packed.values())) / MESHES
        if over <= 1 or triangles <= FEWEST:
            break
        triangles = int(triangles / over)
    seen, size = {}, 0
    for name in dict.fromkeys(pictures):
        mesh = small[name] if name in small else _read(folder, name, triangles)
        drawn = picture(*mesh, color_of(name))
        size += len(drawn)
        if size > PICTURES:
            break
        seen[name] = drawn
    return {"triangles": triangles, "meshes": packed, "pictures": seen}


def _read(folder: str | Path, name: str, triangles: int) -> tuple[np.ndarray, np.ndarray]:
    return simplified(*read_mesh(Path(folder) / f"{name}.ply"), triangles)


def encoded(vertices: np.ndarray, faces: np.ndarray) -> str:
    """A mesh in [-1, 1]^3 in base64: two uint32 (V, F), int16 [V, 3] / 32767, uint16 [F, 3].

    Little-endian. A mesh of more than 65535 vertices does not fit: `ValueError`.
    """
    if len(vertices) > 0xFFFF:
        raise ValueError(f"{len(vertices)} vertices are more than a page can number")
    data = (
        np.array([len(vertices), len(faces)], "<u4"),
        np.rint(np.clip(vertices, -1, 1) * 32767).astype("<i2"),
        np.asarray(faces).astype("<u2"),
    )
    return base64.b64encode(b"".join(part.tobytes() for part in data)).decode()


def color_of(name: str) -> str:
    """The color of a mesh, which says where it is from; the same wherever it is shown."""
    words = name.replace("/", "_").replace("-", "_").split("_")
    return next((COLORS[word] for word in words if word in COLORS), COLORS["original"])


def picture(vertices: np.ndarray, faces: np.ndarray, color: str) -> str:
    """A mesh in [-1, 1]^3 as a PNG of 96 x 96 pixels (a data URI), with nothing behind it."""
    from PIL import Image, ImageColor, ImageDraw

    size = PIXELS * FINER
    image = Image.new("RGBA", (size, size))
    if len(faces):
        seen = turned(np.asarray(vertices, np.float64))
        corners = seen[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        normals *= -np.sign(normals[:, 1:2])  # towards the eye
        shades = AMBIENT + (1 - AMBIENT) * np.maximum(normals @ LIGHT, 0)
        base = np.array(ImageColor.getrgb(color))
        places = np.stack([0.5 + 0.42 * corners[..., 0], 0.5 - 0.42 * corners[..., 2]], -1) * size
        draw = ImageDraw.Draw(image)
        for index in np.argsort(-corners[..., 1].mean(1), kind="stable"):
            fill = tuple((base * shades[index]).astype(int))
            draw.polygon([tuple(point) for point in places[index]], fill=fill)
    small = image.resize((PIXELS, PIXELS), Image.Resampling.BOX).quantize(64)
    stream = io.BytesIO()
    small.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def turned(points: np.ndarray, yaw: float = YAW, pitch: float = PITCH) -> np.ndarray:
    """Points `[..., 3]` as the eye sees them: to the right, away from it, up."""
    x = points[..., 0] * np.cos(yaw) - points[..., 1] * np.sin(yaw)
    y = points[..., 0] * np.sin(yaw) + points[..., 1] * np.cos(yaw)
    away = y * np.cos(pitch) - points[..., 2] * np.sin(pitch)
    up = y * np.sin(pitch) + points[..., 2] * np.cos(pitch)
    return np.stack([x, away, up], axis=-1)


def as_json(meshes: Mapping[str, str]) -> str:
    """What goes into the page's script element."""
    colored = {name: [color_of(name), data] for name, data in meshes.items()}
    return json.dumps(colored).replace("<", "\\u003c")

"""Meshes on a page: few triangles in few bytes for `scenes.js`, and small pictures of them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.core.atomic import atomic
from lib.data.meshes import read_mesh, simplified
from lib.report.inputs import ReportError

if TYPE_CHECKING:
    from PIL import Image

TRIANGLES, FEWEST = 2000, 50  # of a mesh on a page
# Bytes of all meshes on a page, and of all pictures: a page also holds 4.8 MB of plotly.js.
MESHES, PICTURES = 6_000_000, 2_500_000
TRIANGLE_BYTES = 12  # 9 bytes (with half a vertex), in base64
MESH_BYTES = 28  # what a mesh takes besides: two numbers and two more vertices
PIXELS, FINER = 96, 3  # of a picture; it is drawn so much finer, for smooth edges
YAW, PITCH = -0.6, 0.35  # radians; scenes.js begins with the same view
# Towards the light, as the eye sees it: to the right, away, up. The same in scenes.js.
LIGHT = np.array([-0.36, -0.52, 0.77])
AMBIENT = 0.5


@dataclass(frozen=True)
class Meshes:
    """What a page holds of meshes.

    Attributes:
        meshes: by name, in base64 as `encoded` makes it.
        pictures: data URIs, by the name of the mesh.
        triangles: how many a mesh has at most: as many as fit into `MESHES` bytes.
    """

    meshes: Mapping[str, str]
    pictures: Mapping[str, str]
    triangles: int

    def write(self, path: Path) -> None:
        """Keep them in a JSON file."""
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)))


def read_meshes(path: str | Path) -> Meshes:
    """The meshes in a file that `Meshes.write` made.

    Raises:
        ReportError: there is no such file, or something else is in it.
    """
    try:
        return Meshes(**json.loads(Path(path).read_text()))
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; the page needs the meshes it shows") from None
    except (ValueError, TypeError) as error:
        raise ReportError(f"{path}: not the meshes of a page ({error!r})") from None


class _Small:
    """Meshes of at most some triangles; files of equal content are read and simplified once.

    (The mean of all training fields stands beside every test shape, and the ends of a walk are
    fields that are shown elsewhere too.)
    """

    def __init__(self, triangles: int) -> None:
        self.triangles = triangles
        self._made: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self._drawn: dict[tuple[bytes, str], str] = {}

    def mesh(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        return self._kept(path)[1]

    def picture(self, path: Path, color: str) -> str:
        digest, mesh = self._kept(path)
        if (digest, color) not in self._drawn:
            self._drawn[digest, color] = picture(*mesh, color)
        return self._drawn[digest, color]

    def _kept(self, path: Path) -> tuple[bytes, tuple[np.ndarray, np.ndarray]]:
        digest = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
        if digest not in self._made:
            self._made[digest] = simplified(*read_mesh(path), self.triangles)
        return digest, self._made[digest]


def small(
    files: Mapping[str, Path], pictured: Mapping[str, Path], color: Callable[[str], str]
) -> Meshes:
    """Meshes of few triangles in few bytes.

    Args:
        files: of the meshes that can be turned, by the name that the page gives them.
        pictured: of those that have a picture, by name; it is made of the first ones, as many as
            fit into `PICTURES` bytes.
        color: the color of the mesh of a name.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    each = MESHES // max(len(files), 1) - MESH_BYTES
    triangles = max(min(TRIANGLES, each // TRIANGLE_BYTES), FEWEST)
    while True:
        made = _Small(triangles)
        packed = {name: encoded(*made.mesh(path)) for name, path in files.items()}
        # Open surfaces have more vertices than half their triangles.
        over = sum(map(len, packed.values())) / MESHES
        if over <= 1 or triangles <= FEWEST:
            break
        triangles = int(triangles / over)
    seen, size = {}, 0
    for name, path in pictured.items():
        drawn = made.picture(path, color(name))
        size += len(drawn)
        if size > PICTURES:
            break
        seen[name] = drawn
    return Meshes(packed, seen, triangles)


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


def picture(vertices: np.ndarray, faces: np.ndarray, color: str) -> str:
    """A mesh in [-1, 1]^3 as a PNG of 96 x 96 pixels (a data URI), with nothing behind it."""
    small = drawn(vertices, faces, color, PIXELS).quantize(64)
    stream = io.BytesIO()
    small.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def drawn(vertices: np.ndarray, faces: np.ndarray, color: str, pixels: int) -> Image.Image:
    """A mesh in [-1, 1]^3 as an image of so many pixels each way, with nothing behind it."""
    from PIL import Image, ImageColor, ImageDraw

    size = pixels * FINER
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
    return image.resize((pixels, pixels), Image.Resampling.BOX)


def turned(points: np.ndarray, yaw: float = YAW, pitch: float = PITCH) -> np.ndarray:
    """Points `[..., 3]` as the eye sees them: to the right, away from it, up."""
    x = points[..., 0] * np.cos(yaw) - points[..., 1] * np.sin(yaw)
    y = points[..., 0] * np.sin(yaw) + points[..., 1] * np.cos(yaw)
    away = y * np.cos(pitch) - points[..., 2] * np.sin(pitch)
    up = y * np.sin(pitch) + points[..., 2] * np.cos(pitch)
    return np.stack([x, away, up], axis=-1)

"""PRep pictures: a network's weights as pixels, signed, original beside decoded."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from lib.report.blocks import Picture
from lib.report.inputs import Prep

WIDEST = 640
# Negative, zero, positive; told apart with any kind of color vision.
SIGNED = np.array([[8, 48, 107], [66, 133, 190], [255, 255, 255], [224, 130, 60], [110, 35, 0]])


def pictures(preps: Sequence[Prep], architectures: Sequence[str]) -> list[Picture]:
    """One picture per network: original, decoded and their difference, on one color scale."""
    order = {name: place for place, name in enumerate(architectures)}
    known = sorted(preps, key=lambda prep: order.get(prep.architecture, len(order)))
    return [_picture(prep) for prep in known]


def _picture(prep: Prep) -> Picture:
    both = np.stack([prep.original, prep.decoded])
    used = np.flatnonzero(both.any(axis=(0, 2)))
    both = both[:, : used[-1] + 1] if used.size else both[:, :1]
    original, decoded = both
    nonzero = np.abs(original[original != 0])
    scale = float(np.percentile(nonzero, 99)) if nonzero.size else 1.0
    parts = (
        ("original", original),
        ("decoded", decoded),
        ("decoded minus original", decoded - original),
    )
    height, width = original.shape
    return Picture(
        f"{prep.architecture}: {prep.network}" if prep.network else prep.architecture,
        [(title, png(colors(narrow(values), scale))) for title, values in parts],
        height,
        f"{height} x {width} values; colour runs from −{scale:.2g} to +{scale:.2g}",
    )


def narrow(values: np.ndarray, widest: int = WIDEST) -> np.ndarray:
    """Reduce [h, w] to at most `widest` columns: of neighbours, the one farthest from zero."""
    height, width = values.shape
    step = -(-width // widest)
    padded = np.pad(values, ((0, 0), (0, -width % step)))
    blocks = padded.reshape(height, -1, step)
    farthest = np.abs(blocks).argmax(axis=2)
    return np.take_along_axis(blocks, farthest[..., None], axis=2)[..., 0]


def colors(values: np.ndarray, scale: float) -> np.ndarray:
    """Signed values [h, w] as uint8 RGB [h, w, 3]; beyond +-`scale` the color stays the last."""
    place = (np.clip(values / scale, -1, 1) + 1) / 2 * (len(SIGNED) - 1)
    stops = np.arange(len(SIGNED))
    channels = [np.interp(place, stops, SIGNED[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def png(pixels: np.ndarray) -> str:
    """Encode uint8 RGB [h, w, 3] as a PNG data URI (RFC 2083: truecolor, no filter)."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()

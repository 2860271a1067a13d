"""PRep pictures: a network's weights as pixels, signed, original beside decoded."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from lib.report.blocks import Picture
from lib.report.inputs import Prep

WIDEST, HIGHEST = 480, 120
LEVELS = 64  # on each side of zero
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
        [(title, png(levels(shrink(values), scale))) for title, values in parts],
        height,
        f"{height} x {width} values; colour runs from −{scale:.2g} to +{scale:.2g}",
    )


def shrink(values: np.ndarray, highest: int = HIGHEST, widest: int = WIDEST) -> np.ndarray:
    """Reduce [h, w] to at most [highest, widest]: of neighbours, the one farthest from zero."""
    height, width = values.shape
    down, across = -(-height // highest), -(-width // widest)
    padded = np.pad(values, ((0, -height % down), (0, -width % across)))
    rows, columns = padded.shape[0] // down, padded.shape[1] // across
    blocks = padded.reshape(rows, down, columns, across).swapaxes(1, 2).reshape(rows, columns, -1)
    farthest = np.abs(blocks).argmax(axis=2)
    return np.take_along_axis(blocks, farthest[..., None], axis=2)[..., 0]


def levels(values: np.ndarray, scale: float) -> np.ndarray:
    """Signed values [h, w] as uint8 places in the palette; beyond +-`scale` the last one stays."""
    return (np.rint(np.clip(values / scale, -1, 1) * LEVELS) + LEVELS).astype(np.uint8)


def palette() -> np.ndarray:
    """Colors from the most negative to the most positive level: uint8 RGB [2 LEVELS + 1, 3]."""
    place = np.linspace(0, len(SIGNED) - 1, 2 * LEVELS + 1)
    channels = [np.interp(place, np.arange(len(SIGNED)), SIGNED[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def png(places: np.ndarray) -> str:
    """Encode palette places, uint8 [h, w], as a PNG data URI (RFC 2083: indexed, no filter)."""
    height, width = places.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), places], axis=1)
    chunks = (
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette().tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()

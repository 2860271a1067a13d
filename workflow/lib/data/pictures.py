"""Image files as pixels: upright, opaque, of one size and number of channels."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from lib.core.progress import track
from lib.data.archive import DataError

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".bmp", ".dib", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp"),
)
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
MODES = {1: "L", 3: "RGB"}
ORIENTATION = 0x0112  # the EXIF tag; its values but 1 need turning:
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BACKGROUNDS = {"white": (255, 255, 255, 255), "black": (0, 0, 0, 255)}


class Picture(NamedTuple):
    """An image file: its name, and its bytes or (where these are more) its pixels."""

    name: str
    content: bytes | np.ndarray


@dataclass
class Pixels:
    """How pictures of a source become pixels; counts those that were not opaque or not upright.

    background: what is seen through transparent pixels.
    path: of the source, for messages.
    """

    channels: int
    size: int
    path: str | Path
    background: str = "white"
    transparent: set[str] = field(default_factory=set)
    turned: set[str] = field(default_factory=set)

    @property
    def bytes(self) -> int:
        """Bytes of the pixels of a picture."""
        return self.channels * self.size * self.size

    def of(self, picture: Picture) -> np.ndarray:
        """Pixels uint8 [channels, size, size] of a picture, resized (bilinear) where need be.

        It is turned as its EXIF orientation says, and laid over the background where it has
        transparent pixels.

        Raises:
            DataError: not an image, a damaged one, or one with more than 8 bits per channel.
        """
        if isinstance(picture.content, np.ndarray):
            return picture.content
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(picture.content), formats=FORMATS) as image:
                    if image.mode[0] in "IF":
                        raise ValueError(
                            f"pixels of mode {image.mode}, expected 8 bits per channel"
                        )
                    turn = TURNS.get(_orientation(image))
                    image = self._opaque(image, picture.name)
            if turn is not None:
                self.turned.add(picture.name)
                image = image.transpose(turn)
            if image.size != (self.size, self.size):
                image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        except Exception as error:  # Pillow's decoders fail in many ways on damaged files
            if isinstance(error, UnidentifiedImageError):
                error = f"its bytes are none of {', '.join(FORMATS)}, or damaged"
            raise DataError(
                f"{self.path}: {picture.name} is not an image that can be read: {error}"
            ) from None
        pixels = np.asarray(image)
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def all(self, pictures: Iterable[Picture]) -> np.ndarray:
        """Pixels uint8 [n, channels, size, size] of pictures."""
        pictures = list(pictures)
        shape = (len(pictures), self.channels, self.size, self.size)
        pixels = np.empty(shape, np.uint8)
        for row, picture in enumerate(track(pictures, "images")):
            pixels[row] = self.of(picture)
        return pixels

    def said(self) -> list[str]:
        """How many pictures were laid over the background or turned; nothing if none was."""
        lines = []
        if self.transparent:
            lines.append(
                f"{len(self.transparent)} images with transparent pixels laid over "
                f"{self.background} (key background), such as {min(self.transparent)}"
            )
        if self.turned:
            lines.append(f"{len(self.turned)} images turned as their EXIF orientation says")
        return lines

    def _opaque(self, image: Image.Image, name: str) -> Image.Image:
        """The image in grey or colour, over the background where it is transparent."""
        if image.has_transparency_data:
            whole = image.convert("RGBA")
            if whole.getextrema()[3][0] < 255:
                self.transparent.add(name)
                back = Image.new("RGBA", whole.size, BACKGROUNDS[self.background])
                image = Image.alpha_composite(back, whole)
        if image.mode == "LAB":  # which Pillow makes RGB of, but not grey
            image = image.convert("RGB")
        return image.convert(MODES[self.channels])


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF data, of which the image itself is independent
        return 1

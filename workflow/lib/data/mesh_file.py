"""What the readers of mesh files share: their result, their error, text as it comes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lib.core.untrusted import shown as short
from lib.data.archive import DataError

MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
COMMA = re.compile(r"(?<=\d),(?=\d)|(?<=[\s-]),(?=\d)")


class MeshError(DataError):
    """One mesh cannot be used; the message goes on after its name."""


class RawMesh(NamedTuple):
    """Vertices `[V, 3]` float64 and triangles `[F, 3]` int32 as they are in a file.

    notes: what was passed by or read in another way than it is written, in a few words each.
    """

    vertices: np.ndarray
    faces: np.ndarray
    notes: list[str]


def unmarked(data: bytes) -> bytes:
    """Bytes of a file without its byte-order mark; UTF-16 becomes one byte a character."""
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    data = data[len(mark) :]
    if MARKS.get(mark, "utf-8") == "utf-8":
        return data
    return data.decode(MARKS[mark], "replace").encode("latin-1", "replace")


def plain_text(data: bytes) -> tuple[str, list[str]]:
    """Text with `\\n` at line ends and decimal points, whatever was there; and notes on that.

    Commas in numbers (as of a German or French system) become points, unless there are points too.

    Raises:
        MeshError: it is not text.
    """
    text = unmarked(data).decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    text = text.rstrip("\0\x1a \n") + "\n"
    if "\0" in text:
        raise MeshError("is not text, as it holds zero bytes; its suffix is that of another format")
    body = re.sub(r"#.*", "", text) if "," in text else ""
    if COMMA.search(body) and not re.search(r"\d\.\d", body):
        return COMMA.sub(".", text), ["decimal commas read as points"]
    return text, []


def check_count(count: str, data: bytes) -> int:
    """How many vertices or faces a file says that it has, if it has the bytes for them.

    Raises:
        MeshError: it has not, or it is no number.
    """
    if not re.fullmatch(r"\d+", count):
        raise MeshError(f"has a header that cannot be understood: {shown(count)} is no count")
    if len(count) > 12 or int(count) > len(data):
        raise MeshError(f"announces {count[:20]} vertices or faces, but has {len(data)} bytes")
    return int(count)


def numbers(words: Sequence[str]) -> np.ndarray:
    """Words as float64.

    Raises:
        MeshError: one is no number.
    """
    try:
        return np.array(words, dtype=np.str_).astype(np.float64) if len(words) else np.zeros(0)
    except ValueError:
        for word in words:
            try:
                float(word)
            except ValueError:
                raise MeshError(f"is damaged: {shown(word)} is no number") from None
        raise


MAGIC = {
    b"ply": "a PLY file",
    b"version https://git-lfs": "a pointer of git-lfs; fetch the file itself with `git lfs pull`",
    b"PK\3\4": "a zip archive; unpack it",
    b"\x1f\x8b": "packed by gzip; unpack it",
    b"glTF": "a glTF file",
    b"Kaydara FBX": "an FBX file",
    b"\x7fELF": "a compiled object file",
    b"L\1": "a compiled object file",
    b"d\x86": "a compiled object file",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML file",
}


def what_it_is(data: bytes) -> str:
    """What a file is by its first bytes, if that is something known; else an empty text."""
    start = data.lstrip()[:100].lower()
    return next((name for magic, name in MAGIC.items() if start.startswith(magic.lower())), "")


def shown(value: object) -> str:
    """A piece of a file, short."""
    return short(value)

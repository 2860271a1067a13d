"""Names of files from anywhere: text that can be written again, in one spelling, or passed by."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from lib.core.progress import log

# What file managers, notebooks and network stores leave between the files of the user's own.
EXTRAS = {
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
}
TEMPORARY = re.compile(r"~\$.*|.*~|#.*#|.*\.(tmp|temp|part|partial|crdownload|swp|swo)", re.I)
UTF8 = 0x800  # flag of a name in a zip archive that is said to be UTF-8
OLD = {"folder": ("cp1252", "cp437", "latin-1"), "zip": ("cp437", "cp1252", "cp437")}


class Names:
    """The names inside one folder or archive; what is odd about them is logged, once of a kind."""

    def __init__(self, path: object) -> None:
        self.path = path
        self._spelt: dict[str, str] = {}
        self._told: set[str] = set()

    def of(self, name: str) -> str:
        """A name as the file system or a tar has it: UTF-8, or bytes of an old encoding."""
        return self._one_spelling(self._text(name.encode("utf-8", "surrogateescape"), "folder"))

    def in_zip(self, name: str, flags: int) -> str:
        """A name in a zip: Unicode where its flag says so, else bytes that zipfile took for cp437.

        Those are UTF-8 more often than not, as archivers of macOS and Linux forget the flag.
        """
        if not flags & UTF8:
            name = self._text(name.encode("cp437"), "zip")
        return self._one_spelling(name)

    def _text(self, raw: bytes, kind: str) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            encoding, text = _decoded(raw, OLD[kind])
        self._tell(
            "encoding",
            f"names that are not UTF-8, such as {raw!r}, are read as {encoding}: {text!r}; "
            "rename them where that is wrong",
        )
        return text

    def _one_spelling(self, name: str) -> str:
        """The name in NFC; Linux and Windows write that, macOS the same letters decomposed."""
        composed = unicodedata.normalize("NFC", name)
        if name.isascii():
            return composed
        for part, spelt in zip(composed.split("/"), name.split("/"), strict=True):
            if self._spelt.setdefault(part, spelt) != spelt:
                self._tell("spelling", f"{part!r} is there in two Unicode spellings, taken as one")
        return composed

    def _tell(self, kind: str, words: str) -> None:
        if kind not in self._told:
            log.warning("%s: %s", self.path, words)
        self._told.add(kind)


def is_extra(name: PurePosixPath) -> bool:
    """Whether a file or folder is hidden, a temporary, or left there by some program."""
    return any(
        part.startswith(".") or part.lower() in EXTRAS or TEMPORARY.fullmatch(part)
        for part in name.parts
    )


def printable(text: str) -> str:
    """Text that any terminal and file takes: bytes that were no text are shown as such."""
    return os.fsencode(text).decode(errors="backslashreplace")


def _decoded(raw: bytes, encodings: Sequence[str]) -> tuple[str, str]:
    """The first encoding that makes letters of the Latin alphabet of a name; else the last one."""
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        odd = [letter for letter in text if not letter.isascii()]
        if all(unicodedata.name(letter, "").startswith("LATIN") for letter in odd):
            return encoding, text
    return encodings[-1], raw.decode(encodings[-1])

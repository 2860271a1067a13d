"""Read a folder, a tar or a zip archive as one stream of files, without extracting anything."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from lib.core.errors import InputError
from lib.core.untrusted import Bounded, most_unpacked
from lib.data.names import Names, is_extra, printable

CHUNK = 1 << 20
BLOCK = 512  # bytes of a tar block
LARGEST = 256 << 20  # bytes; no single image or batch of images is larger
LONGEST = 1 << 16  # bytes of a name or another further header of a tar archive
FURTHER = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
OPENERS = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\0": lzma.open, b"BZh": bz2.open}
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    RecursionError,
)


class DataError(InputError):
    """A data set, its archive or its download is missing, damaged or not what was expected."""


class Entry(NamedTuple):
    """One file or folder inside; `read` must be called before the next entry is asked for."""

    name: str
    is_folder: bool
    read: Callable[[], bytes]


def entries(path: str | Path) -> Iterator[Entry]:
    """Files and folders inside `path` in one pass, names relative and with forward slashes.

    Hidden files, temporaries and what systems leave behind are passed by (`names.is_extra`). Names
    are NFC and can be written again, whatever encoding they had. Nothing is written to disk.
    Archives are recognised by their content; one that is read to its end is known to be whole.

    Raises:
        DataError: no such path, a damaged or truncated archive, a name that points outside of it,
            a link, pipe or device inside it, a single file of more than 256 MiB, or an archive
            that unpacks to more than 1 GiB and 200 times its own size.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if not (path.is_dir() or path.is_file()):
        raise DataError(f"{path}: neither a file nor a folder")
    with _damage(path):
        if path.is_dir():
            found = _folder(path)
        else:
            found = _zip(path) if zipfile.is_zipfile(path) else _tar(path)
        for entry in found:
            if not is_extra(_checked(entry.name, path)):
                yield entry


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except DAMAGE as error:
        raise DataError(
            f"{path} is damaged, truncated or not an archive (.tar, .tar.gz, .tar.xz, "
            f".tar.bz2, .zip): {error}"
        ) from None


def _folder(root: Path) -> Iterator[Entry]:
    names = Names(root)
    for parent, folders, files in os.walk(root, onerror=_fail):
        folders[:] = sorted(name for name in folders if not is_extra(PurePosixPath(name)))
        for name in folders:
            inside = (Path(parent) / name).relative_to(root).as_posix()
            yield _entry(root, names.of(inside), True, 0, None)
        for name in sorted(files):
            file = Path(parent) / name
            if not is_extra(PurePosixPath(name)):
                inside = names.of(file.relative_to(root).as_posix())
                yield _entry(root, inside, False, 0, partial(_file, file))


def _file(path: Path) -> bytes:
    """The bytes of a file in a folder; a link is followed, the folder being the user's own."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: a pipe or a device, expected only files and folders")
    if status.st_size > LARGEST:
        raise DataError(f"{path}: has {status.st_size} bytes, more than {LARGEST} are not read")
    return path.read_bytes()


def _zip(path: Path) -> Iterator[Entry]:
    most, names = most_unpacked(path.stat().st_size), Names(path)
    with zipfile.ZipFile(path) as archive:
        total = sum(info.file_size for info in archive.infolist())
        if total > most:
            raise DataError(f"{path}: unpacks to {total} bytes, more than {most} are not read")
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(
                    f"{path}: {info.filename} is a link or a device, expected only files and "
                    "folders"
                )
            name = names.in_zip(_slashed(info.filename), info.flag_bits)
            yield _entry(
                path,
                name,
                info.is_dir() or name.endswith("/"),
                info.file_size,
                partial(archive.read, info),
            )


def _tar(path: Path) -> Iterator[Entry]:
    with ExitStack() as stack:
        raw = stack.enter_context(open(path, "rb"))
        magic = raw.read(6)
        raw.seek(0)
        opener = next((OPENERS[m] for m in OPENERS if magic.startswith(m)), None)
        unpacked = stack.enter_context(opener(raw)) if opener else raw
        stream = _Watched(Bounded(unpacked, path.stat().st_size))
        tar = stack.enter_context(
            tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, tarinfo=_Member)
        )
        names = Names(path)
        for member in tar:
            if not (member.isfile() or member.isdir()):
                raise DataError(
                    f"{path}: {printable(member.name)} is a link or a device, expected only files "
                    "and folders"
                )
            yield _entry(
                path,
                names.of(_slashed(member.name)),
                member.isdir(),
                member.size,
                lambda member=member: tar.extractfile(member).read(),
            )
            tar.members.clear()
        while stream.read(CHUNK):
            pass
        # tarfile takes a damaged header or a cut between two files for the end of the archive.
        if stream.content_end > tar.offset or stream.length < tar.offset + BLOCK:
            raise DataError(
                f"{path} is damaged or truncated: it breaks off after {tar.offset} "
                "bytes of unpacked data"
            )


class _Member(tarfile.TarInfo):
    """A header that is not believed where it says that there is very much more of it."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> _Member:
        """The header in a block of 512 bytes."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in FURTHER and not 0 <= found.size <= LONGEST:
            raise ValueError(f"a further header of {found.size} bytes")
        return found


class _Watched:
    """A stream that knows how much was read and where its last non-zero byte was."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.length = self.content_end = 0

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        content = data.rstrip(b"\0")
        if content:
            self.content_end = self.length + len(content)
        self.length += len(data)
        return data


def _entry(path: Path, name: str, is_folder: bool, size: int, read) -> Entry:
    def guarded() -> bytes:
        if size > LARGEST:
            raise DataError(f"{path}: {name} has {size} bytes, more than {LARGEST} are not read")
        with _damage(path):
            return read()

    return Entry(name, is_folder, guarded)


def _slashed(name: str) -> str:
    """With the slashes that archives should have; some archivers on Windows write others."""
    return name.replace("\\", "/")


def _checked(name: str, path: Path) -> PurePosixPath:
    slashed = PurePosixPath(_slashed(name))
    if slashed.is_absolute() or ".." in slashed.parts or name[1:2] == ":":
        raise DataError(
            f"{path}: the name {name!r} points outside of the archive; the archive is refused"
        )
    return slashed


def _fail(error: OSError) -> None:
    raise error

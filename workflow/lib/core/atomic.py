"""Files are written whole or not at all, also when a process is killed or a disk fills up."""

from __future__ import annotations

import errno
import glob
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.core.errors import InputError

if TYPE_CHECKING:
    import h5py

FULL = {errno.ENOSPC, errno.EDQUOT}
LOST = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.ELOOP}
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# What file systems answer that do not know modes, or how to wait for the disk (shared folders of
# virtual machines, CIFS, exFAT, FUSE). 524: NFS servers' ENOTSUPP, which Python has no name for.
UNKNOWN = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, 524}
log = logging.getLogger("lib")
_told: set[str] = set()
NODE = re.sub(r"\W", "_", os.uname().nodename)


class WriteError(InputError):
    """A file cannot be written: the disk is full, or the folder may not be written to."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the place of `path` in one step.

    A process that is killed, or that fails, leaves the old file (or none), never half a file; so
    does a machine that loses power, as the bytes are on the disk before the name is. What a killed
    process of this machine left of its temporary file goes with the next write of the same file.

    Raises:
        WriteError: no space left, or no permission; the message names the folder and the cure.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
    except OSError as error:
        raise (_write_error(path, error) or error) from None
    try:
        yield temporary
        grant(temporary, 0o666)
        _to_disk(temporary)
        os.replace(temporary, path)
    except Exception as error:
        if found := _write_error(path, error):
            raise found from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_hdf5(path: str | Path, **options: Any) -> Iterator[h5py.File]:
    """A new HDF5 file that is written like `atomic`; `options` are those of `h5py.File`.

    HDF5 writes through Python's file: by itself it takes the process down on a full disk.
    """
    import h5py

    with atomic(path) as temporary, open(temporary, "wb+") as stream:
        with h5py.File(stream, "w", **options) as file:
            yield file


def check_folder(path: str | Path) -> None:
    """Make sure that files could be written below a folder, which need not be there yet.

    Raises:
        WriteError: they could not.
    """
    folder = Path(path).absolute()
    if link := _lost_link(folder):
        raise WriteError(f"{path}: {link}")
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise WriteError(f"{path}: {folder} is a file, expected a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        what = "is on a read-only file system" if _read_only(folder) else "may not be written to"
        raise WriteError(f"{path}: the folder {folder} {what}; {ELSEWHERE}")


ELSEWHERE = "make it writable, or name another folder (`results` in the config; --directory)"


def _temporary(path: Path) -> Path:
    """A new empty file beside `path`; removes those that processes which are gone left there."""
    begin = f".{path.stem}.{NODE}-"
    for left in path.parent.glob(f"{glob.escape(begin)}*-*{glob.escape(path.suffix)}"):
        process = left.name.removeprefix(begin).partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f"{begin}{os.getpid()}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    return Path(name)


@contextmanager
def scratch(content: bytes, suffix: str = "") -> Iterator[Path]:
    """A file with this content in the temporary folder, for libraries that read only files.

    Raises:
        WriteError: there is no such folder, or no room in it; the message names it.
    """
    path = None
    try:
        handle, name = tempfile.mkstemp(suffix=suffix)
        path = Path(name)
        with open(handle, "wb") as stream:
            stream.write(content)
    except OSError as error:
        where = "the temporary folder" if path is None else f"the temporary folder {path.parent}"
        if path is not None:
            path.unlink(missing_ok=True)
        raise WriteError(
            f"{where} cannot be written to: {error.strerror}; TMPDIR is "
            f"{os.environ.get('TMPDIR') or 'not set'}: make room there, or set TMPDIR to a folder "
            f"with at least {max(1, len(content) >> 19)} MB free"
        ) from None
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def grant(path: Path, mode: int) -> None:
    """Give a file or folder the mode that others are made with, where there are modes."""
    umask = os.umask(0)
    os.umask(umask)
    try:
        path.chmod(mode & ~umask)
    except OSError as error:
        if error.errno not in UNKNOWN | {errno.EPERM}:
            raise
        _tell_once(f"the mode of files cannot be set in {path.parent}", error)


def _to_disk(path: Path) -> None:
    """Wait for a file to be on the disk; network file systems say only now that they are full."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        what = "what is written may be lost if the machine loses power, as one cannot wait for it"
        _tell_once(f"{what} to be on the disk in {path.parent}", error)
    finally:
        os.close(handle)


def _tell_once(what: str, error: OSError) -> None:
    """Say what could not be taken care of; the writing itself goes on."""
    if what not in _told:
        _told.add(what)
        log.warning("%s (%s); going on", what, error.strerror or error.errno)


def _lost_link(folder: Path) -> str | None:
    """What is wrong with a link on the way to a folder, if one leads nowhere."""
    for path in (folder, *folder.parents):
        if path.is_symlink() and not path.exists():
            target = os.readlink(path)
            try:
                os.stat(path)
            except OSError as error:
                why = "itself" if error.errno == errno.ELOOP else f"{target}, which is not there"
            else:
                continue
            return f"{path} is a link to {why}; make that folder, or remove the link"
    return None


def _write_error(path: Path, error: BaseException) -> WriteError | None:
    """What `error` means for the user, if the disk or the permissions are at fault."""
    if isinstance(error, InputError):
        return None
    number = getattr(error, "errno", None)
    # Libraries that write by themselves (safetensors) have the number in their message alone.
    if said := re.search(r"(?:os error|errno =) (\d+)", str(error)):
        number = int(said[1])
    folder = path.parent.absolute()
    if number in LOST and (link := _lost_link(folder)):
        return WriteError(f"{path} cannot be written: {link}")
    while not folder.exists():
        folder = folder.parent
    if number in LOST and not folder.is_dir():
        return WriteError(f"{path} cannot be written: {folder} is a file, expected a folder")
    if number in FULL:
        free = shutil.disk_usage(folder).free
        return WriteError(
            f"{path} cannot be written: {os.strerror(number)} in {folder} ({free / 1e6:.1f} MB "
            "free); make room there, then run the same command again: what is finished is kept"
        )
    if number in REFUSED:
        return WriteError(
            f"{path} cannot be written: {os.strerror(number)} in {folder}; {ELSEWHERE}"
        )
    return None


def _read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)

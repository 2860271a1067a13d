"""Download a file whose SHA-256 is known, continuing where an earlier attempt broke off."""

from __future__ import annotations

import http.client
import math
import os
import urllib.error
import urllib.request
from pathlib import Path

from lib.core.progress import log, track
from lib.core.repro import file_sha256
from lib.data.archive import CHUNK, DataError

TIMEOUT = 60.0  # seconds without a byte


def fetch(url: str, sha256: str, target: str | Path) -> Path:
    """Path of the file behind `url`, downloaded to `target` unless it is there already.

    What has arrived is kept in `target` + ".part", so a broken download continues with the next
    call. Nothing is at `target` whose SHA-256 is not `sha256`.

    Raises:
        DataError: not an http(s) address, no answer, a broken connection or another SHA-256.
    """
    target = Path(target)
    if target.is_file() and file_sha256(target) == sha256:
        return target
    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url}: expected an address that begins with http:// or https://")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        _receive(url, part)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{url} could not be downloaded: {error}") from None
    found = file_sha256(part)
    if found != sha256:
        part.unlink()
        raise DataError(
            f"{url} has SHA-256 {found}, expected {sha256}; what was downloaded has been removed"
        )
    os.replace(part, target)
    return target


def _receive(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "netspace"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        reply = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing is left to send
            return
        raise
    with reply:
        partial = reply.status == 206
        if partial and not reply.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise DataError(
                f"{url}: the server sent another part of the file than was asked for; "
                f"remove {part} and try again"
            )
        have = have if partial else 0
        length = int(reply.headers.get("Content-Length", 0))
        log.info("downloading %s (%.1f MB%s)", url, length / 1e6, ", continued" if have else "")
        with open(part, "ab" if partial else "wb") as stream:
            chunks = iter(lambda: reply.read(CHUNK), b"")
            for chunk in track(chunks, "download", math.ceil(length / CHUNK)) if length else chunks:
                stream.write(chunk)
    arrived = part.stat().st_size - have
    if length and arrived != length:
        raise DataError(
            f"{url}: the connection ended after {arrived} of {length} bytes; run again to continue"
        )

"""Downloads: verified, kept, resumed; from a server of the tests' own."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading

import pytest

from image_sources import (
    CIFAR,
    cifar_archive,
    prepared,
    refused,
)
from lib.core.errors import InputError
from lib.data import download


@pytest.fixture
def server(tmp_path):
    """A loopback server of one file, `content`; the `ranges` asked for; `cut` and `resumes`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state = self.server
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and state.resumes else 0
            if self.path != "/cifar-10-python.tar.gz":
                return self.send_error(404)
            if start and start >= len(state.content):
                return self.send_error(416)
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                end = len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut])

        def log_message(self, *_):
            pass

    state = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.content = cifar_archive(tmp_path).read_bytes()
    state.ranges, state.cut, state.resumes = [], None, True
    state.url = f"http://127.0.0.1:{state.server_port}/cifar-10-python.tar.gz"
    state.sha256 = hashlib.sha256(state.content).hexdigest()
    thread = threading.Thread(target=state.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    state.shutdown()
    thread.join()
    state.server_close()


def test_download_is_verified_and_kept(tmp_path, server):
    settings = {"url": server.url, "sha256": server.sha256, **CIFAR}
    splits = prepared(tmp_path / "out", **settings)
    assert len(splits["train"].y) == 40
    prepared(tmp_path / "out", **settings)
    assert server.ranges == [None]


def test_download_with_another_sha256(tmp_path, server):
    refused(
        f"has SHA-256 {server.sha256}, expected 000",
        tmp_path / "out",
        url=server.url,
        sha256="0" * 64,
        **CIFAR,
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_download_continues_where_it_broke_off(tmp_path, server):
    target, half = tmp_path / "file", len(server.content) // 2
    server.cut = half
    with pytest.raises(InputError, match=f"ended after {half} of {len(server.content)} bytes"):
        download.fetch(server.url, server.sha256, target)
    server.cut = None
    assert download.fetch(server.url, server.sha256, target).read_bytes() == server.content
    assert server.ranges == [None, f"bytes={half}-"]


@pytest.mark.parametrize(("have", "resumes"), [(0.5, False), (1.0, True)])
def test_download_from_a_server_that_sends_all_or_nothing(tmp_path, server, have, resumes):
    server.resumes = resumes
    part = tmp_path / "file.part"
    part.write_bytes(server.content[: int(have * len(server.content))])
    found = download.fetch(server.url, server.sha256, tmp_path / "file")
    assert found.read_bytes() == server.content and not part.exists()


def test_downloads_that_cannot_work(tmp_path, server):
    for url, message in (
        (server.url + "x", "could not be downloaded.*404"),
        ("http://127.0.0.1:1/x", "could not be downloaded"),
        ("file:///etc/passwd", "expected an address that begins with http"),
        ("http://[", "could not be downloaded"),
    ):
        with pytest.raises(InputError, match=message):
            download.fetch(url, "0" * 64, tmp_path / "file")

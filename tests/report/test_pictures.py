"""Networks as pictures."""

import base64
import struct
import zlib

import h5py
import numpy as np
import pytest

from lib.report.pictures import SIGNED, levels, palette, png, shrink
from report_fixture import ARCHITECTURES, Results, write_several


@pytest.fixture
def results(tmp_path) -> Results:
    return write_several(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


def test_png_decodes_to_its_pixels():
    places = np.random.default_rng(0).integers(0, 129, (3, 5), dtype=np.uint8)
    data = base64.b64decode(png(places).split(",", 1)[1])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, start = {}, 8
    while start < len(data):
        (size,) = struct.unpack(">I", data[start : start + 4])
        kind, body = data[start + 4 : start + 8], data[start + 8 : start + 8 + size]
        (check,) = struct.unpack(">I", data[start + 8 + size : start + 12 + size])
        assert check == zlib.crc32(kind + body)
        chunks[kind], start = body, start + 12 + size
    assert struct.unpack(">2I", chunks[b"IHDR"][:8]) == (5, 3)
    assert chunks[b"PLTE"] == palette().tobytes()
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, 6)
    assert np.array_equal(lines[:, 1:], places)


def test_signed_levels_and_shrinking():
    painted = palette()[levels(np.array([[-9.0, -1.0, 0.0, 0.5, 1.0, 9.0]]), 1.0)[0]]
    assert np.array_equal(painted, SIGNED[[0, 0, 2, 3, 4, 4]])
    small = shrink(np.array([[1.0, -3.0, 2.0, 0.5, -0.1], [0.0, 0.0, 0.0, -4.0, 0.0]]), 1, 3)
    assert small.tolist() == [[-3.0, -4.0, -0.1]]


def test_pictures_of_paper_sized_networks_keep_the_page_small(results):
    with h5py.File(results.files["preps"], "w") as file:
        for name in ARCHITECTURES:
            for key in ("original", "decoded"):
                noise = np.random.default_rng(len(name)).normal(size=(300, 3000))
                file[f"{name}/{key}"] = noise.astype(np.float32)
    assert len(results.page().encode()) < 7_000_000

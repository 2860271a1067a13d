"""Images: sources, splits, prepared files, and every kind of bad input."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import pickle
import re
import struct
import tarfile
import threading
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from lib.config import Images
from lib.data import download
from lib.data.images import SPLITS, ImagesError, check_source, load_split, prepare
from lib.errors import InputError

COLOR = {"size": 32, "channels": 3, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
GREY = {"source": "folder", "size": 8, "mean": (0.0,), "std": (1.0,)}


def targets(folder: Path) -> dict[str, Path]:
    return {split: folder / f"{split}.h5" for split in SPLITS}


def prepared(folder: Path, seed: int = 0, **settings):
    out = targets(folder)
    prepare(Images(**settings), seed, out)
    return {split: load_split(path) for split, path in out.items()}


def refused(message: str, folder: Path, **settings) -> None:
    with pytest.raises(InputError, match=message):
        prepare(Images(**settings), 0, targets(folder))
    assert not any(path.exists() for path in targets(folder).values())


# digits


def test_digits_are_split_by_class_and_without_overlap(tmp_path):
    from sklearn.datasets import load_digits

    splits = prepared(tmp_path, test=0.2)
    sizes = {split: len(data.y) for split, data in splits.items()}
    assert sizes == {"train": 1151, "validation": 287, "test": 359}
    bundle = load_digits()
    for data in splits.values():
        assert data.x.shape[1:] == (1, 8, 8) and data.x.dtype == torch.float32
        assert data.classes == tuple("0123456789") and data.y.dtype == torch.int64
    everything = []
    for split in SPLITS:
        with h5py.File(tmp_path / f"{split}.h5") as file:
            everything += [row.tobytes() for row in file["pixels"][:]]
    assert sorted(everything) == sorted(r.tobytes() for r in bundle.images.astype(np.uint8))
    counts = np.bincount(bundle.target)
    for split, share in (("train", 0.64), ("validation", 0.16), ("test", 0.2)):
        assert np.abs(splits[split].y.bincount().numpy() - share * counts).max() <= 1


def test_digits_depend_on_the_seed_alone(tmp_path):
    first, again, other = (tmp_path / name for name in "abc")
    digests = [
        [data.digest for data in prepared(folder, seed).values()]
        for folder, seed in ((first, 3), (again, 3), (other, 4))
    ]
    assert digests[0] == digests[1] != digests[2]
    for split in SPLITS:
        assert (first / f"{split}.h5").read_bytes() == (again / f"{split}.h5").read_bytes()


def test_normalisation_and_attributes(tmp_path):
    data = prepared(tmp_path, mean=(0.25,), std=(0.5,))["train"]
    with h5py.File(tmp_path / "train.h5") as file:
        pixels, attributes = file["pixels"][:], dict(file.attrs)
    assert pixels.max() == 16
    expected = (pixels / 16 - 0.25) / 0.5
    np.testing.assert_allclose(data.x.numpy(), expected, rtol=0, atol=1e-6)
    assert attributes["type"] == b"netspace-images" and attributes["version"] == 3
    about = json.loads(attributes["about"])
    assert about["split"] == "train" and about["pixel_max"] == 16
    assert about["classes"] == list("0123456789")


def test_limit_per_class(tmp_path):
    for data in prepared(tmp_path, limit_per_class=5).values():
        assert data.y.bincount().tolist() == [5] * 10


# CIFAR-10 as published: Python 2 pickles, written here opcode by opcode


def py2(value) -> bytes:
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"(" + b"".join(map(py2, value)) + b"l"
    if isinstance(value, dict):
        return b"(" + b"".join(py2(k) + py2(v) for k, v in value.items()) + b"d"
    code = value.dtype.str[1:].encode()
    dtype = (
        b"cnumpy\ndtype\n("
        + py2(code)
        + py2(0)
        + py2(1)
        + b"tR("
        + py2(3)
        + py2(b"|")
        + b"NNN"
        + py2(-1)
        + py2(-1)
        + py2(0)
        + b"tb"
    )
    shape = b"(" + b"".join(map(py2, value.shape)) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n("
        + py2(0)
        + b"t"
        + py2(b"b")
        + b"tR("
        + py2(1)
        + shape
        + dtype
        + b"\x89"
        + py2(value.tobytes())
        + b"tb"
    )


def dumped(value) -> bytes:
    return b"\x80\x02" + py2(value) + b"."


NAMES = [
    b"airplane",
    b"automobile",
    b"bird",
    b"cat",
    b"deer",
    b"dog",
    b"frog",
    b"horse",
    b"ship",
    b"truck",
]


def cifar_files(per_batch: int = 10) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {
        "batches.meta": dumped(
            {b"num_cases_per_batch": per_batch, b"label_names": NAMES, b"num_vis": 3072}
        )
    }
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        data = rng.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        labels = [(3 * row + 1) % 10 for row in range(per_batch)]
        files[name] = dumped(
            {
                b"batch_label": b"batch",
                b"labels": labels,
                b"data": data,
                b"filenames": [b"x.png"] * per_batch,
            }
        )
    files["readme.html"] = b"<html>"
    return files


def tar(path: Path, files: dict[str, bytes], mode: str = "w:gz", prefix: str = "") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def cifar_archive(folder: Path, **changes: bytes) -> Path:
    return tar(
        folder / "cifar-10-python.tar.gz",
        {**cifar_files(), **changes},
        prefix="cifar-10-batches-py/",
    )


CIFAR = {"source": "cifar10", **COLOR}


def test_the_writer_of_the_tests_writes_what_python_reads():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    loaded = pickle.loads(dumped({b"data": array, b"labels": [1, 2]}), encoding="bytes")
    assert loaded[b"data"].tolist() == array.tolist() and loaded[b"labels"] == [1, 2]


def test_cifar10_from_archive_and_from_folder(tmp_path):
    archive = cifar_archive(tmp_path)
    splits = prepared(tmp_path / "a", path=str(archive), **CIFAR)
    assert [len(splits[s].y) for s in SPLITS] == [40, 10, 10]
    assert splits["train"].classes[:2] == ("airplane", "automobile")
    batch = pickle.loads(cifar_files()["data_batch_5"], encoding="bytes")
    expected = (batch[b"data"].reshape(-1, 3, 32, 32) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(splits["validation"].x.numpy(), expected, rtol=0, atol=1e-5)
    assert splits["validation"].y.tolist() == batch[b"labels"]
    extracted = tmp_path / "x" / "cifar-10-batches-py"
    extracted.mkdir(parents=True)
    for name, content in cifar_files().items():
        (extracted / name).write_bytes(content)
    for number, path in enumerate((extracted, extracted.parent)):
        other = prepared(tmp_path / str(number), path=str(path), **CIFAR)
        assert [other[s].digest for s in SPLITS] == [splits[s].digest for s in SPLITS]


def test_a_pickle_cannot_run_anything(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    evil = pickle.dumps({"data": Evil(), "labels": []}, protocol=2)
    archive = cifar_archive(tmp_path, data_batch_3=evil)
    refused(
        "data_batch_3 is not a batch.*mkdir, which is not allowed",
        tmp_path,
        path=str(archive),
        **CIFAR,
    )
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (
            {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]},
            "label 10 of image 1 is out of range, expected 0 to 9",
        ),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, -1]}, "label -1 of image 1"),
        (
            {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]},
            r"shape \(2, 3072\), expected \(1,",
        ),
        ({b"data": np.zeros((1, 3071), np.uint8), b"labels": [0]}, r"shape \(1, 3071\)"),
        ({b"data": np.zeros((1, 3072), np.float32), b"labels": [0]}, "type b'f4', expected uint8"),
        ({b"labels": [0]}, "no array `data`"),
        ([1, 2], "holds no dictionary"),
    ],
)
def test_damaged_cifar_batches(tmp_path, batch, message):
    archive = cifar_archive(tmp_path, data_batch_2=dumped(batch))
    refused(f"data_batch_2.*{message}", tmp_path, path=str(archive), **CIFAR)


def test_cifar_pickle_cut_short_or_lying(tmp_path):
    whole = cifar_files()["test_batch"]
    array = whole.index(b"(" + py2(10) + py2(3072))
    lying = whole[:array] + b"(" + py2(2**30) + whole[array + 6 :]
    for content, message in (
        (whole[:5000], "is not a batch"),
        (b"", "is not a batch"),
        (lying, "bytes for an array of shape"),
    ):
        archive = cifar_archive(tmp_path, test_batch=content)
        refused(f"test_batch.*{message}", tmp_path, path=str(archive), **CIFAR)


def test_cifar_without_a_batch(tmp_path):
    files = cifar_files()
    del files["data_batch_4"]
    refused(
        "data_batch_4 is missing", tmp_path, path=str(tar(tmp_path / "c.tar.gz", files)), **CIFAR
    )


def test_a_class_without_images_in_a_split(tmp_path):
    batch = {b"data": np.zeros((9, 3072), np.uint8), b"labels": [0, 1, 2, 3, 4, 5, 6, 7, 9]}
    archive = cifar_archive(tmp_path, test_batch=dumped(batch))
    refused(
        "class ship of cifar10 has no image in the test split", tmp_path, path=str(archive), **CIFAR
    )


# folders and archives of images by class


def png(value: int, size: int = 8, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    color = value if mode in ("L", "I;16") else (value, 0, 0)
    Image.new(mode, (size, size), color).save(stream, "png")
    return stream.getvalue()


def tree(train: int = 10, test: int = 3) -> dict[str, bytes]:
    """Classes dog and cat; the value of an image tells its split, class and number."""
    files = {}
    for split, count, base in (("train", train, 0), ("test", test, 200)):
        for label, name in ((100, "dog"), (20, "cat")):
            for number in reversed(range(count)):
                value = (base + label // 10 + number) if split == "test" else label + number
                files[f"{split}/{name}/{number:03}.png"] = png(value)
    return files


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def values(split) -> list[int]:
    return (split.x[:, 0, 0, 0] * 255).round().int().tolist()


def test_folder_with_its_own_test_images(tmp_path):
    splits = prepared(tmp_path / "out", path=str(written(tmp_path / "pets", tree())), **GREY)
    assert splits["train"].classes == ("cat", "dog") and splits["train"].name == "pets"
    assert sorted(values(splits["train"])) == [*range(20, 28), *range(100, 108)]
    assert sorted(values(splits["validation"])) == [28, 29, 108, 109]
    assert values(splits["test"]) == [202, 210, 203, 211, 204, 212]
    assert splits["test"].y.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    "pack",
    [
        lambda p, f: tar(p / "pets.tar.xz", f, "w:xz", "./pets/"),
        lambda p, f: tar(p / "pets.tar.bz2", f, "w:bz2"),
        lambda p, f: tar(p / "pets.tar", f, "w"),
        lambda p, f: tar(p / "pets.tgz", f, "w:gz", "deep/pets/"),
        lambda p, f: zipped(p / "pets.zip", f),
    ],
)
def test_archives_give_what_the_folder_gives(tmp_path, pack):
    extra = {
        "readme.txt": b"hello",
        "train/cat/.hidden.png": b"no image",
        "__MACOSX/train/cat/000.png": b"no image",
    }
    expected = prepared(tmp_path / "a", path=str(written(tmp_path / "pets", tree())), **GREY)
    found = prepared(tmp_path / "b", path=str(pack(tmp_path, {**tree(), **extra})), **GREY)
    assert [found[s].digest for s in SPLITS] == [expected[s].digest for s in SPLITS]
    assert found["test"].name == "pets"


def test_a_compressed_archive_is_read_in_one_pass(tmp_path, monkeypatch):
    from lib.data import archive

    path = tar(tmp_path / "pets.tar.xz", tree(), "w:xz")

    class Forward(archive.lzma.LZMAFile):
        def seek(self, *_):
            raise AssertionError("went back")

    monkeypatch.setitem(archive.OPENERS, b"\xfd7zXZ\0", Forward)
    assert len(prepared(tmp_path / "out", path=str(path), **GREY)["train"].y) == 16


def test_folder_without_splits_is_split_by_the_seed(tmp_path):
    files = {name[6:]: content for name, content in tree(20).items() if name.startswith("train/")}
    path = str(written(tmp_path / "pets", files))
    splits, again, other = (
        prepared(tmp_path / str(n), seed, path=path, test=0.2, **GREY)
        for n, seed in enumerate((0, 0, 1))
    )
    assert [splits[s].y.bincount().tolist() for s in SPLITS] == [[13, 13], [3, 3], [4, 4]]
    everything = sorted(value for data in splits.values() for value in values(data))
    assert everything == [*range(20, 40), *range(100, 120)]
    assert splits["test"].digest == again["test"].digest != other["test"].digest


def test_limit_of_a_folder_takes_the_first_by_name(tmp_path):
    path = str(written(tmp_path / "pets", tree()))
    splits = prepared(tmp_path / "out", path=path, limit_per_class=2, **GREY)
    assert values(splits["train"]) == [20, 100, 21, 101]
    assert values(splits["validation"]) == [28, 108, 29, 109]


def test_images_are_resized_and_brought_to_the_channels(tmp_path):
    files = {f"{name}/{n}.png": png(200, 20 + n, "RGB") for name in "ab" for n in range(5)}
    path = str(written(tmp_path / "pets", files))
    color = prepared(tmp_path / "c", source="folder", path=path, **COLOR)["train"]
    assert color.x.shape[1:] == (3, 32, 32)
    np.testing.assert_allclose(
        color.x[0, :, 7, 7].numpy(), [(200 / 255 - 0.5) / 0.25, -2, -2], atol=1e-6
    )
    grey = prepared(tmp_path / "g", path=path, **GREY)["train"]
    assert grey.x.shape[1:] == (1, 8, 8)
    assert values(grey)[0] == round(0.299 * 200)


def test_large_pictures_resize_to_the_same_pixels_in_and_out_of_the_stream(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "png")
    files = {f"{name}/{n}.png": stream.getvalue() for name in "ab" for n in range(5)}
    found = prepared(tmp_path / "o", path=str(written(tmp_path / "n", files)), **GREY)["test"]
    expected = np.asarray(Image.fromarray(noise).resize((8, 8), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal((found.x[0, 0] * 255).round().numpy(), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train/cat/003.png": b"hello"}, "train/cat/003.png is not an image"),
        ({"train/cat/003.png": png(1, 64)[:-40]}, "train/cat/003.png is not an image"),
        ({"train/cat/003.png": png(1, mode="I;16")}, "train/cat/003.png .*expected 8 bits"),
        ({"test/bird/readme.txt": b"none"}, "class train/bird has no image"),
        ({"test/bird/000.png": png(1)}, "class train/bird has no image"),
        ({"val/cat/000.png": png(1)}, "holds the folders test, train, val; expected"),
        ({"000.png": png(1)}, "000.png lies in no class folder"),
    ],
)
def test_bad_trees(tmp_path, change, message):
    path = written(tmp_path / "pets", {**tree(), **change})
    refused(message, tmp_path, path=str(path), **GREY)


def test_empty_class_folders(tmp_path):
    (written(tmp_path / "pets", tree()) / "test" / "bird").mkdir()
    refused("class train/bird has no image", tmp_path, path=str(tmp_path / "pets"), **GREY)
    (tmp_path / "one" / "cat").mkdir(parents=True)
    refused("holds no images", tmp_path, path=str(tmp_path / "one"), **GREY)
    written(tmp_path / "one", {"cat/1.png": png(1)})
    refused("1 class folder, expected at least 2", tmp_path, path=str(tmp_path / "one"), **GREY)
    written(tmp_path / "one", {"dog/1.png": png(1)})
    refused("too few images", tmp_path, path=str(tmp_path / "one"), **GREY)


@pytest.mark.parametrize(
    "name",
    ["../evil/1.png", "/etc/evil/1.png", "cat/../../1.png", "C:/cat/1.png", "..\\cat\\1.png"],
)
@pytest.mark.parametrize(
    "pack", [lambda p, f: tar(p / "a.tar.gz", f), lambda p, f: zipped(p / "a.zip", f)]
)
def test_names_that_point_outside_are_refused(tmp_path, name, pack):
    path = pack(tmp_path, {**tree(), name: png(1)})
    refused("points outside", tmp_path, path=str(path), **GREY)


def test_links_in_archives_are_refused(tmp_path):
    path = tar(tmp_path / "a.tar", tree(), "w")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("train/cat/link.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    refused("link.png is a link", tmp_path, path=str(path), **GREY)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w", "zip"])
def test_truncated_and_damaged_archives(tmp_path, mode):
    path = tmp_path / "pets.archive"
    zipped(path, tree()) if mode == "zip" else tar(path, tree(), mode)
    whole = path.read_bytes()
    for cut in (0, 3, 300, len(whole) // 2, len(whole) - 9):
        if mode == "w" and cut == len(whole) - 9:
            continue  # only padding is lost
        path.write_bytes(whole[:cut])
        refused("pets.archive is damaged", tmp_path, path=str(path), **GREY)
    middle = len(whole) // 2 // 512 * 512
    path.write_bytes(
        whole[:middle]
        + bytes(b ^ 85 for b in whole[middle : middle + 1024])
        + whole[middle + 1024 :]
    )
    with pytest.raises(InputError, match="pets.archive"):
        prepare(Images(path=str(path), **GREY), 0, targets(tmp_path))


def test_a_plain_tar_cut_between_two_files_is_noticed(tmp_path):
    path = tar(tmp_path / "pets.tar", tree(), "w")
    with tarfile.open(path) as archive:
        cuts = [member.offset for member in archive][1::9]
    whole = path.read_bytes()
    for cut in cuts:
        path.write_bytes(whole[:cut])
        refused("breaks off", tmp_path, path=str(path), **GREY)


def test_a_missing_source_shows_before_anything_is_read(tmp_path):
    gone = str(tmp_path / "gone.tar.gz")
    with pytest.raises(ImagesError, match="images.path: .*gone.tar.gz: no such file or folder"):
        check_source(Images(path=gone, **CIFAR))
    check_source(Images(path=gone, url="https://example.org/x", sha256="0" * 64, **CIFAR))
    check_source(Images(source="digits", path=gone))
    check_source(Images(path=str(tmp_path), **CIFAR))


def test_missing_paths_and_sources(tmp_path):
    refused(
        "nowhere.tar.gz: no such file", tmp_path, path=str(tmp_path / "nowhere.tar.gz"), **CIFAR
    )
    unknown = Images().model_copy(update={"source": "mnist"})
    with pytest.raises(ImagesError, match="unknown image source 'mnist', known are digits, cifar"):
        prepare(unknown, 0, targets(tmp_path))


def test_sha256_of_a_path(tmp_path):
    path = cifar_archive(tmp_path)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    prepared(tmp_path / "a", path=str(path), sha256=right, **CIFAR)
    refused(
        f"cifar-10-python.tar.gz has SHA-256 {right}, expected a file",
        tmp_path,
        path=str(path),
        sha256="0" * 64,
        **CIFAR,
    )


# downloads, from a server of this test's own


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


# prepared files


@pytest.fixture
def split_file(tmp_path):
    prepare(Images(), 0, targets(tmp_path))
    return tmp_path / "test.h5"


def flip(file):
    file["pixels"][0, 0, 0, 0] ^= 1


def label_out_of_range(file):
    file["labels"][3] = 10


def negative_label(file):
    file["labels"][3] = -1


def replace(name, **options):
    def change(file):
        del file[name]
        file.create_dataset(name, **options)

    return change


def say(**changes):
    """Other words about the images, not covered by their digest."""

    def change(file):
        about = json.loads(file.attrs["about"]) | changes
        about = {name: value for name, value in about.items() if value is not None}
        file.attrs["about"] = np.bytes_(json.dumps(about).encode())

    return change


def external(file):
    del file["pixels"]
    file["pixels"] = h5py.ExternalLink("train.h5", "pixels")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flip, "do not match the digest"),
        (label_out_of_range, "label 10 of image 3 is out of range, expected 0 to 9"),
        (negative_label, "label -1 of image 3 is out of range"),
        (lambda f: f.attrs.update(type=np.bytes_("netspace-shard")), "is of type and version"),
        (lambda f: f.attrs.update(version=1), "is of type and version"),
        (say(mean=None), "mean is not said of the images"),
        (say(std=[0.0]), "std and pixel_max above 0"),
        (say(mean=[0.1, 0.2]), "one finite number per channel"),
        (say(mean="0.1"), "damaged"),
        (say(classes=3), "damaged"),
        (say(digest=["a", "b"]), "do not match the digest"),
        (say(mean=[0.31]), "its attributes do not match their digest"),
        (lambda f: f.attrs.update(about=np.bytes_("[3")), "damaged"),
        (lambda f: f.attrs.update(about=3), "damaged"),
        (lambda f: f.attrs.update(about="{}"), "about holds neither numbers nor text of a fixed"),
        (lambda f: f.attrs.__delitem__("sha256"), "attribute sha256 is missing"),
        (lambda f: f.__delitem__("labels"), "dataset labels is missing"),
        (external, "dataset pixels is missing"),
        (replace("labels", data=np.zeros(359, np.int32)), "labels is int32, expected int64"),
        (
            replace("pixels", shape=(10**6, 64, 64, 64), dtype="u1", chunks=(1, 64, 64, 64)),
            "claims more bytes",
        ),
        (replace("labels", data=np.zeros(3, np.int64)), "expected .n, C, H, W. and .n."),
    ],
)
def test_damaged_prepared_files(split_file, change, message):
    with h5py.File(split_file, "r+") as file:
        change(file)
    with pytest.raises(ImagesError, match=message) as caught:
        load_split(split_file)
    assert "test.h5" in str(caught.value)


def test_prepared_files_that_are_none(split_file):
    whole = split_file.read_bytes()
    for content in (b"", b"hello", whole[:100], whole[: len(whole) // 2]):
        split_file.write_bytes(content)
        with pytest.raises(ImagesError, match="test.h5 is damaged"):
            load_split(split_file)
    with pytest.raises(ImagesError, match="no such file"):
        load_split(split_file.with_name("none.h5"))

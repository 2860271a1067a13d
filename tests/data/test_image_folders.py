"""Pictures by class in folders and archives, and every kind of bad tree."""

from __future__ import annotations

import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from image_sources import (
    CIFAR,
    COLOR,
    GREY,
    cifar_archive,
    png,
    prepared,
    refused,
    tar,
    targets,
    tree,
    values,
    written,
    zipped,
)
from lib.config import Images
from lib.core.errors import InputError
from lib.core.streams import Stream
from lib.data.images import SPLITS, ImagesError, check_source, prepare


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
    files = {
        f"{name}/{n}.png": png(200 if name == "a" else n, 20 + n, "RGB")
        for name in "ab"
        for n in range(5)
    }
    files["a/5.png"] = png(0, 20, "RGB")
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
    files = {f"train/{name}/{n}.png": png(n) for name in "ab" for n in range(5)}
    files |= {f"test/{name}/0.png": stream.getvalue() for name in "ab"}
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
        ({"val/cat/000.png": png(1)}, "class val/dog has no image"),
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
        prepare(Images(path=str(path), **GREY), Stream("data", 0), targets(tmp_path))


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
    with pytest.raises(ImagesError, match="data.mine.path: .*gone.tar.gz: no such file or folder"):
        check_source(Images(path=gone, **CIFAR), "data.mine")
    check_source(Images(path=gone, url="https://example.org/x", sha256="0" * 64, **CIFAR))
    check_source(Images(source="digits", path=gone))
    check_source(Images(path=str(tmp_path), **CIFAR))


def test_missing_paths_and_sources(tmp_path):
    refused(
        "nowhere.tar.gz: no such file", tmp_path, path=str(tmp_path / "nowhere.tar.gz"), **CIFAR
    )
    unknown = Images().model_copy(update={"source": "mnist"})
    with pytest.raises(ImagesError, match="unknown image source 'mnist', known are digits, cifar"):
        prepare(unknown, Stream("data", 0), targets(tmp_path))


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

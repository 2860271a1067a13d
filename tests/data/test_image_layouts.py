"""Layouts, names and pictures of image folders: what is recognised, and what is refused."""

from __future__ import annotations

import io
import os
import tarfile
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageOps

from image_sources import GREY, png, prepared, refused, tree, values, written, zipped
from lib.config import Images
from lib.core.errors import InputError
from lib.data.folder import decode
from lib.data.images import SPLITS, recognised
from lib.data.names import Names
from lib.data.pictures import Picture, Pixels

# Layouts: which folders are splits, and which classes


def layout_of(*folders: str, count: int = 6) -> dict[str, bytes]:
    """Two classes in each of these folders, with pictures that tell folder and class."""
    return {
        f"{folder}/{name}/{n}.png": png(10 + 80 * k + 40 * label + n)
        for k, folder in enumerate(folders)
        for label, name in enumerate(("cat", "dog"))
        for n in range(count)
    }


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("Training", "Testing"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train_images", "test_images"),
        ("trainingSet", "testSet"),
        ("imgs-train", "imgs.test"),
        ("train2017/images", "test2017/images"),
        ("01 Training Data", "02 Test Data"),
    ],
)
def test_splits_are_known_in_any_spelling(tmp_path, train, test):
    path = str(written(tmp_path / "pets", layout_of(train, test)))
    splits = prepared(tmp_path / "out", path=path, **GREY)
    assert splits["train"].classes == ("cat", "dog")
    assert sorted(values(splits["train"])) == [*range(10, 15), *range(50, 55)]
    assert values(splits["validation"]) == [15, 55]
    assert sorted(values(splits["test"])) == [*range(90, 96), *range(130, 136)]
    said = " ".join(splits["test"].said)
    assert f"train images (folder {train.split('/')[0]}): 12, 6 of each class" in said
    assert "2 classes: cat, dog" in said


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "imgs_val", "dev"])
def test_validation_images_of_its_own_are_used(tmp_path, name):
    path = str(written(tmp_path / "pets", layout_of("train", "test", name)))
    splits = prepared(tmp_path / "out", path=path, **GREY)
    assert [len(splits[split].y) for split in SPLITS] == [12, 12, 12]
    assert min(values(splits["validation"])) == 170


def test_without_test_images_some_are_kept_from_training(tmp_path):
    path = str(written(tmp_path / "pets", layout_of("train", "val", count=10)))
    splits = prepared(tmp_path / "out", path=path, test=0.3, **GREY)
    assert [len(splits[split].y) for split in SPLITS] == [14, 20, 6]
    assert max(values(splits["test"])) < 90 <= min(values(splits["validation"]))


def test_splits_inside_of_classes(tmp_path):
    files = {
        f"{name}/{split}/{n}.png": png(10 + 80 * k + 40 * label + n)
        for k, split in enumerate(("train", "test"))
        for label, name in enumerate(("cat", "dog"))
        for n in range(6)
    }
    splits = prepared(tmp_path / "out", path=str(written(tmp_path / "pets", files)), **GREY)
    assert [len(splits[split].y) for split in SPLITS] == [10, 2, 12]
    assert splits["test"].classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path):
    files = {
        f"{c}/{n}.png": png(9 * k + n) for k, c in enumerate(["bus", "train"]) for n in range(6)
    }
    files |= {f"bullet_train/{n}.png": png(100 + n) for n in range(6)}
    splits = prepared(tmp_path / "out", path=str(written(tmp_path / "pets", files)), **GREY)
    assert splits["train"].classes == ("bullet_train", "bus", "train")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({f"{s}/{n}.png": png(n) for s in ("train", "Test") for n in range(6)}, "looks like the"),
        (layout_of("train", "test", "extra"), "look like splits, extra does not"),
        (layout_of("train", "PublicTest", "PrivateTest"), "both look like the test split"),
        (layout_of("val", "test"), "but none to train on"),
        (layout_of("train_1", "train_2"), "train_1 and train_2 look like splits"),
        (layout_of("train", "extra"), "train and extra look like splits|extra and train"),
        (layout_of("train") | {"test/1.png": png(1)}, "test/1.png lies in no class folder inside"),
    ],
)
def test_folders_that_look_like_splits_are_refused(tmp_path, files, message):
    path = written(tmp_path / "pets", files)
    refused(message, tmp_path, path=str(path), **GREY)
    with pytest.raises(InputError, match=message):
        recognised(Images(path=str(path), **GREY))


def test_what_is_recognised_is_said_before_anything_is_read(tmp_path):
    files = layout_of("Train", "Test") | {"Train/cat/a.avif": b"", "labels.csv": b"", "x/1": b""}
    path = written(tmp_path / "pets", files)
    said = recognised(Images(path=str(path), **GREY))
    assert said == [
        "2 classes: cat, dog",
        "train images (folder Train): 12, 6 of each class",
        "test images (folder Test): 12, 6 of each class",
        "3 files that cannot be read as images left out: 1 .avif, 1 .csv, 1 no suffix",
    ]
    assert prepared(tmp_path / "out", path=str(path), **GREY)["train"].said == tuple(said)
    assert recognised(Images()) == []


# Names


def test_a_class_in_two_spellings_is_one(tmp_path):
    files = {}
    for split, form in (("train", "NFC"), ("test", "NFD")):
        for k, name in enumerate(("Fähre", "Brücke")):
            for n in range(6):
                files[f"{split}/{unicodedata.normalize(form, name)}/{n}.png"] = png(20 * k + n)
    found = prepared(tmp_path / "a", path=str(zipped(tmp_path / "a.zip", files)), **GREY)
    assert found["test"].classes == ("Brücke", "Fähre")
    twice = {}
    for form, base in (("NFC", 0), ("NFD", 100)):
        for k, name in enumerate(("Fähre", "Brücke")):
            for n in range(6):
                twice[f"{unicodedata.normalize(form, name)}/{n}.png"] = png(base + 20 * k + n)
    for path in (zipped(tmp_path / "b.zip", twice), written(tmp_path / "b", twice)):
        found = prepared(tmp_path / "c", path=str(path), **GREY)
        assert found["train"].classes == ("Brücke", "Fähre")
        assert sum(len(found[split].y) for split in SPLITS) == 24


def test_names_that_are_not_utf_8_are_read_as_what_they_must_be(tmp_path):
    names = [b"null", "caf\xe9".encode("latin-1"), "zw\xf6lf".encode("latin-1")]
    for k, name in enumerate(names):
        folder = os.fsencode(tmp_path / "old") + b"/" + name
        os.makedirs(folder)
        for n in range(6):
            with open(folder + b"/%d.png" % n, "wb") as file:
                file.write(png(20 * k + n))
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        archive.add(tmp_path / "old", "old")
    for path in (tmp_path / "old", tmp_path / "old.tar"):
        found = prepared(tmp_path / "out", path=str(path), **GREY)
        assert found["train"].classes == ("café", "null", "zwölf")


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp1252"])
def test_names_in_zips_without_the_flag_of_utf_8(encoding):
    raw = "zwölf/Fähre".encode(encoding).decode("cp437")
    assert Names("a.zip").in_zip(raw, 0) == "zwölf/Fähre"
    assert Names("a.zip").in_zip("zwölf/Fähre", 0x800) == "zwölf/Fähre"


def test_zips_with_backslashes(tmp_path):
    expected = prepared(tmp_path / "a", path=str(written(tmp_path / "pets", tree())), **GREY)
    files = {name.replace("/", "\\"): content for name, content in tree().items()}
    files["train\\cat\\"] = b""
    found = prepared(tmp_path / "b", path=str(zipped(tmp_path / "pets.zip", files)), **GREY)
    assert [found[s].digest for s in SPLITS] == [expected[s].digest for s in SPLITS]


def test_what_systems_leave_behind_is_passed_by(tmp_path):
    expected = prepared(tmp_path / "a", path=str(written(tmp_path / "pets", tree())), **GREY)
    extra = [
        "train/.ipynb_checkpoints/000-checkpoint.png",
        "train/cat/._000.png",
        ".Trash-0/cat/1.png",
        "@eaDir/cat/1.png",
        "lost+found/1.png",
        "train/cat/~$000.png",
        "train/cat/Thumbs.db",
        "train/cat/new.png.part",
    ]
    path = written(tmp_path / "pets", dict.fromkeys(extra, b"no image"))
    for source in (path, zipped(tmp_path / "pets.zip", tree() | dict.fromkeys(extra, b"none"))):
        found = prepared(tmp_path / "b", path=str(source), **GREY)
        assert [found[s].digest for s in SPLITS] == [expected[s].digest for s in SPLITS]
        assert found["train"].said == expected["train"].said


# Pictures


def saved(image: Image.Image, kind: str = "png", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def drawn(mode: str, ink: np.ndarray) -> bytes:
    """A drawing whose colour is black everywhere and that its transparency alone tells."""
    black = Image.fromarray(np.zeros_like(ink))
    if mode == "P":
        image = Image.fromarray((ink > 120).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 0, 0, 0])
        return saved(image, transparency=0)
    bands = {"LA": [black], "RGBA": [black] * 3}[mode]
    return saved(Image.merge(mode, [*bands, Image.fromarray(ink)]))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pixels_show_the_background(mode, channels):
    ink = np.where(np.eye(8, dtype=bool), 255, 0).astype(np.uint8)
    picture = Picture("a.png", drawn(mode, ink))
    for background, around in (("white", 255), ("black", 0)):
        pixels = decode(picture, channels, 8, "x", background)
        np.testing.assert_array_equal(
            pixels, np.tile(np.where(ink == 255, 0, around), (channels, 1, 1))
        )


def test_transparent_pictures_are_counted_and_opaque_ones_stay(tmp_path):
    rng = np.random.default_rng(0)
    files = {
        f"{name}/{n}.png": drawn("RGBA", rng.integers(0, 255, (8, 8), np.uint8))
        for name in "ab"
        for n in range(5)
    }
    grey = Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8))
    files["a/5.png"] = saved(grey.convert("RGBA"))
    splits = prepared(tmp_path / "out", path=str(written(tmp_path / "pets", files)), **GREY)
    assert any(
        "10 images with transparent pixels laid over white" in s for s in splits["test"].said
    )
    assert (decode(Picture("5", files["a/5.png"]), 1, 8, "x")[0] == np.asarray(grey)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(orientation):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(pixels), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    made = Pixels(1, 8, "x")
    np.testing.assert_array_equal(made.of(Picture("a.png", data))[0], expected)
    assert len(made.turned) == (orientation > 1)


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JPG"])
def test_jpeg_has_many_suffixes(tmp_path, suffix):
    rng = np.random.default_rng(0)
    files = {
        f"{name}/{n}.{suffix}": saved(
            Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)), "jpeg"
        )
        for name in "ab"
        for n in range(6)
    }
    splits = prepared(tmp_path / "out", path=str(written(tmp_path / "pets", files)), **GREY)
    assert sum(len(splits[split].y) for split in SPLITS) == 12


def test_a_class_of_equal_pictures_is_refused(tmp_path):
    files = {f"{name}/{n}.png": png(0 if name == "b" else n) for name in "ab" for n in range(6)}
    message = "the 6 images of class b of pets are all the same picture"
    refused(message, tmp_path, path=str(written(tmp_path / "pets", files)), **GREY)


def test_a_class_whose_images_cannot_be_read_says_what_was_left_out(tmp_path):
    files = {f"a/{n}.png": png(n) for n in range(6)} | {f"b/{n}.heic": b"" for n in range(6)}
    message = "class b has no image; .*; 6 files that cannot be read as images left out: 6 .heic"
    refused(message, tmp_path, path=str(written(tmp_path / "pets", files)), **GREY)

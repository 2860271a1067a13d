"""Images: the digits, and every kind of damage to prepared files."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch

from image_sources import (
    prepared,
    targets,
)
from lib.config import Images
from lib.core.streams import Stream
from lib.data.images import SPLITS, ImagesError, load_split, prepare

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


# prepared files


@pytest.fixture
def split_file(tmp_path):
    prepare(Images(), Stream("data", 0), targets(tmp_path))
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

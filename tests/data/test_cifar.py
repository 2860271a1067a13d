"""CIFAR-10 as published: what is read, and every kind of bad batch."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from image_sources import (
    CIFAR,
    cifar_archive,
    cifar_files,
    dumped,
    prepared,
    py2,
    refused,
    tar,
)
from lib.data.images import SPLITS


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

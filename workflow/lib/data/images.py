"""Images prepared once (three HDF5 files of raw pixels) and loaded as normalised tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import h5py
import numpy as np
import torch

from lib.config import Images
from lib.core import devices
from lib.core.atomic import atomic_hdf5
from lib.core.progress import log
from lib.core.repro import digest_arrays, file_sha256
from lib.core.streams import Stream
from lib.core.untrusted import plain_attribute, plain_dataset
from lib.data.archive import DataError
from lib.data.download import fetch
from lib.data.folder import described
from lib.data.sources import SOURCES, Raw

TYPE, VERSION = "netspace-images", 3
SPLITS = ("train", "validation", "test")
ATTRIBUTES = ("name", "split", "classes", "mean", "std", "pixel_max", "digest")
DTYPES = {"pixels": np.dtype(np.uint8), "labels": np.dtype(np.int64)}


class ImagesError(DataError):
    """Images, their source or a prepared file are not what was expected."""


@dataclass(frozen=True)
class ImageSplit:
    """One split, ready for a network.

    x: float32 [n, C, H, W], normalised; y: int64 [n]; digest: SHA-256 of pixels and labels;
    mean, std: of pixels in [0, 1], as x was normalised; one for each channel or one for all;
    said: what was recognised in the source, a line each.
    """

    x: torch.Tensor
    y: torch.Tensor
    classes: tuple[str, ...]
    name: str
    digest: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    said: tuple[str, ...] = ()

    @property
    def black(self) -> tuple[float, ...]:
        """The value of a black pixel in x."""
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))


def prepare(
    cfg: Images, stream: Stream, out: Mapping[str, str | Path], where: str = "data.<data>"
) -> None:
    """Read the images of a source, split them and write the files `out[split]`.

    The same stream and configuration give the same bytes. A download is kept beside the output.
    `where` is the place of `cfg` in the config, for messages.

    Raises:
        DataError: whatever is wrong with the source, naming the file; nothing is written then.
    """
    if cfg.source not in SOURCES:
        raise ImagesError(f"unknown image source {cfg.source!r}, known are {', '.join(SOURCES)}")
    path = None if cfg.source == "digits" else _obtain(cfg, Path(out["train"]).parent, where)
    raw = SOURCES[cfg.source](cfg, path, stream)
    for line in raw.said:
        log.info("%s: %s", raw.name, line)
    for split in SPLITS:
        _check_split(raw, split, cfg)
    _check_variety(raw)
    for split in SPLITS:
        _write(out[split], raw, split, cfg)


def load_split(path: str | Path, device: str = "cpu") -> ImageSplit:
    """A prepared split as tensors on `device`: x = (pixels / pixel_max - mean) / std.

    Raises:
        ImagesError: not a prepared file, one of another version, or a damaged one.
        DeviceError: "cuda", and torch is built without it.
    """
    devices.check(device)
    pixels, labels, attributes = _read(Path(path))
    shape = (1, pixels.shape[1], 1, 1)
    mean, std = (
        torch.tensor(attributes[name], dtype=torch.float32, device=device).reshape(shape)
        for name in ("mean", "std")
    )
    x = torch.from_numpy(pixels).to(device).to(torch.float32)
    x = x.div_(float(attributes["pixel_max"])).sub_(mean).div_(std)
    return ImageSplit(
        x,
        torch.from_numpy(labels).to(device),
        tuple(attributes["classes"]),
        attributes["name"],
        attributes["digest"],
        tuple(attributes["mean"]),
        tuple(attributes["std"]),
        tuple(map(str, attributes.get("said", ()))),
    )


def check_source(cfg: Images, where: str = "data.<data>") -> None:
    """See that a source that cannot be downloaded is there; nothing is read.

    `where` is the place of `cfg` in the config, for messages.

    Raises:
        ImagesError: it is not.
    """
    if cfg.source == "digits" or cfg.path is None or cfg.url:
        return
    if not Path(cfg.path).exists():
        raise ImagesError(
            f"{where}.path: {cfg.path}: no such file or folder; expected the images of source "
            f"{cfg.source}"
        )


def recognised(cfg: Images) -> list[str]:
    """What is recognised in a folder of images, a line each: splits, classes, what is left out.

    Only names are read. Nothing is said of other sources, which are laid out as published.

    Raises:
        DataError: the source is not there or is laid out in another way.
    """
    if cfg.source != "folder":
        return []
    check_source(cfg)
    return described(str(cfg.path))


def _obtain(cfg: Images, folder: Path, where: str) -> Path:
    check_source(cfg, where)
    if cfg.path is not None and (Path(cfg.path).exists() or not cfg.url):
        path = Path(cfg.path)
        if cfg.sha256 and (path.is_dir() or file_sha256(path) != cfg.sha256):
            found = "is a folder" if path.is_dir() else f"has SHA-256 {file_sha256(path)}"
            raise ImagesError(
                f"{where}.path: {path} {found}, expected a file of SHA-256 {cfg.sha256}"
            )
        return path
    if not (cfg.url and cfg.sha256):
        raise ImagesError(f"image source {cfg.source} needs a path, or a url with its sha256")
    name = PurePosixPath(urlparse(cfg.url).path).name or "download"
    return fetch(cfg.url, cfg.sha256, cfg.path or folder / name)


def _check_split(raw: Raw, split: str, cfg: Images) -> None:
    pixels, labels = raw.splits[split]
    expected = (cfg.channels, cfg.size, cfg.size)
    if pixels.shape[1:] != expected:
        raise ImagesError(
            f"images of {raw.name} have shape {pixels.shape[1:]} (channels, height, "
            f"width), the configuration asks for {expected}"
        )
    for name in ("mean", "std"):
        if len(getattr(cfg, name)) != cfg.channels:
            raise ImagesError(
                f"images.{name} has {len(getattr(cfg, name))} values, expected one "
                f"per channel ({cfg.channels})"
            )
    for label, count in enumerate(np.bincount(labels, minlength=len(raw.classes))):
        if count == 0:
            raise ImagesError(
                f"class {raw.classes[label]} of {raw.name} has no image in the {split} split"
            )


def _check_variety(raw: Raw) -> None:
    """Refuse a class whose images are all the same picture; a set of one picture has only such."""
    pixels = {
        split: raw.splits[split][0].reshape(len(raw.splits[split][0]), -1) for split in SPLITS
    }
    labels = {split: raw.splits[split][1] for split in SPLITS}
    for label, name in enumerate(raw.classes):
        own = [pixels[split][labels[split] == label] for split in SPLITS]
        first, count = own[0][0], sum(map(len, own))
        if count > 1 and all((part == first).all() for part in own):
            raise ImagesError(
                f"the {count} images of class {name} of {raw.name} are all the same picture; "
                "expected different ones (what is drawn may lie in what was left out of the "
                "files, see its keys background and channels)"
            )


def _write(path: str | Path, raw: Raw, split: str, cfg: Images) -> None:
    pixels, labels = raw.splits[split]
    arrays = {"pixels": np.ascontiguousarray(pixels), "labels": np.ascontiguousarray(labels)}
    attributes = {
        "name": raw.name,
        "split": split,
        "classes": list(raw.classes),
        "mean": cfg.mean,
        "std": cfg.std,
        "pixel_max": raw.pixel_max,
        "digest": digest_arrays(arrays),
        "said": raw.said,
    }
    about = json.dumps(attributes).encode()
    with atomic_hdf5(path, libver=("v108", "v108")) as file:  # whose metadata have checksums
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        # Few, and of fixed length: HDF5 believes where others lie in a file.
        texts = {"type": TYPE.encode(), "about": about, "sha256": _sha256(about)}
        file.attrs.update({name: np.bytes_(text) for name, text in texts.items()})
        file.attrs["version"] = VERSION


def _sha256(about: bytes) -> bytes:
    """SHA-256 (hex) of all that is said of the images, the digest of pixels and labels included."""
    return hashlib.sha256(about).hexdigest().encode()


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    """Pixels, labels and attributes of a prepared file, all of them checked."""
    if not path.is_file():
        raise ImagesError(f"{path}: no such file; prepare the images first")
    try:
        with h5py.File(path, "r", locking=False) as file:
            size = path.stat().st_size
            kind = tuple(plain_attribute(file, name, size) for name in ("type", "version"))
            if kind != (TYPE, VERSION):
                raise ImagesError(
                    f"{path} is of type and version {kind}, expected {(TYPE, VERSION)}"
                )
            about, digest = (plain_attribute(file, name, size) for name in ("about", "sha256"))
            arrays = {name: _dataset(file, name, path) for name in DTYPES}
        attributes = json.loads(about)
        if missing := [name for name in ATTRIBUTES if name not in attributes]:
            raise ImagesError(f"{path}: {missing[0]} is not said of the images")
        whole = bool(digest_arrays(arrays) == attributes["digest"])
        sound = bool(_sha256(about.encode()).decode() == digest)
        _check_content(path, arrays["pixels"], arrays["labels"], attributes)
    except ImagesError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise ImagesError(f"{path} is damaged or not a file of prepared images: {error}") from None
    if not whole:
        what = "pixels and labels do not match the digest"
    elif not sound:
        what = "its attributes do not match their digest"
    else:
        return arrays["pixels"], arrays["labels"], attributes
    raise ImagesError(f"{path} is damaged: {what}; remove it and prepare the images again")


def _dataset(file: h5py.File, name: str, path: Path) -> np.ndarray:
    dataset = plain_dataset(file, name, path.stat().st_size)
    if dataset.dtype != DTYPES[name]:
        raise ImagesError(f"{path}: dataset {name} is {dataset.dtype}, expected {DTYPES[name]}")
    return dataset[()]


def _check_content(path: Path, pixels: np.ndarray, labels: np.ndarray, attributes: dict) -> None:
    if pixels.ndim != 4 or labels.shape != pixels.shape[:1] or not len(pixels):
        raise ImagesError(
            f"{path}: pixels {pixels.shape} and labels {labels.shape}, expected "
            "[n, C, H, W] and [n]"
        )
    classes = attributes["classes"]
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        raise ImagesError(
            f"{path}: label {labels[outside[0]]} of image {outside[0]} is out of "
            f"range, expected 0 to {len(classes) - 1}"
        )
    mean, std = np.asarray(attributes["mean"]), np.asarray(attributes["std"])
    if not (
        mean.shape == std.shape == pixels.shape[1:2]
        and np.isfinite(mean).all()
        and np.isfinite(std).all()
        and (std > 0).all()
        and attributes["pixel_max"] > 0
    ):
        raise ImagesError(
            f"{path}: mean, std and pixel_max must be one finite number per channel, "
            "std and pixel_max above 0"
        )

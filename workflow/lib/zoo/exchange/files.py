"""Networks as files: safetensors with a JSON card beside each, and PyTorch files without code."""

from __future__ import annotations

import json
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lib.core.repro import atomic, digest_arrays
from lib.core.tensors import save_file
from lib.core.untrusted import regular
from lib.zoo.exchange.opening import ExchangeError

NETWORK, VERSION = "netspace-network", 1
PYTORCH = (".pt", ".pth", ".ckpt", "")
INSIDE = ("state_dict", "model", "model_state_dict")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)


def checked_name(name: str, where: str = "") -> str:
    """A name that can be that of a file in a given folder, and nowhere else.

    Raises:
        ExchangeError: it cannot; the message begins with `where`.
    """
    if not re.fullmatch(r"\w[\w .+-]{0,150}", name):
        raise ExchangeError(
            f"{where}{name!r} cannot name a network: letters, digits, spaces and _ . + - can, "
            "beginning with a letter or digit"
        )
    return name


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors: of their names, types, shapes and bytes."""
    return digest_arrays({name: np.ascontiguousarray(_numpy(t)) for name, t in tensors.items()})


def _numpy(tensor: Tensor) -> np.ndarray:
    """The array of a tensor; numpy has no bfloat16, so that stands as its bits."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def card_path(path: str | Path) -> Path:
    """Where the card of a file lies."""
    return Path(f"{path}.json")


def write_tensors(
    path: Path, tensors: dict[str, Tensor], card: dict[str, Any], metadata: dict | None = None
) -> None:
    """Write a safetensors file and its card, each whole or not at all.

    Raises:
        ExchangeError: it cannot be written there.
    """
    with writing(path):
        with atomic(path) as temporary:
            save_file(tensors, temporary, metadata)
        with atomic(card_path(path)) as temporary:
            temporary.write_text(json.dumps(card, indent=2, allow_nan=False) + "\n")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failed write into an error that names the file."""
    try:
        yield
    except OSError as error:
        raise ExchangeError(f"{path} cannot be written: {error.strerror}") from None


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, in order of name, and metadata of a safetensors file.

    Raises:
        ExchangeError: there is no such file, or it is another kind of file.
    """
    try:
        with safe_open(regular(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise ExchangeError(f"{path}: no such file") from None
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ExchangeError(f"{path}: not a safetensors file: {error}") from None
    _check_plain(path, tensors)
    return tensors, metadata


def _check_plain(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not numbers of a network, or claim more of them than the file has."""
    size = os.stat(path).st_size
    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not plain or tensor.is_quantized or tensor.dtype not in DTYPES:
            raise ExchangeError(
                f"{path}: {name!r} is no plain tensor of floats ({tensor.dtype}, {tensor.layout}, "
                f"{tensor.device})"
            )
        if tensor.numel() * tensor.element_size() > size:
            raise ExchangeError(f"{path}: {name!r} claims more bytes than the file has")


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a safetensors or PyTorch file; no code in it is run.

    A PyTorch file may hold the state itself or, among other things, under `state_dict`, `model` or
    `model_state_dict`; a `module.` before all names is taken off.

    Raises:
        ExchangeError: there is no such file, it holds objects that would have to be unpickled, or
            no state dict.
    """
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    try:
        _check_stored(regular(path))
        with warnings.catch_warnings(action="ignore"):  # of pickles that are refused anyway
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ExchangeError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        raise ExchangeError(
            f"{path}: refused: not a PyTorch file of tensors alone, what else it holds could run "
            f"code ({_first_line(error)})"
        ) from None
    except Exception as error:  # damaged pickles fail in every way there is
        raise ExchangeError(f"{path}: not a PyTorch file: {_first_line(error)}") from None
    for key in INSIDE:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if (
        not isinstance(found, Mapping)
        or not found
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items())
    ):
        raise ExchangeError(f"{path}: holds no state dict (tensors by name)")
    _check_plain(path, found)
    if all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): value for name, value in found.items()}
    return {name: value.detach() for name, value in found.items()}


def _check_stored(path: Path) -> None:
    """Refuse a file whose parts would unpack to more than it is; PyTorch packs nothing."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise ValueError("its parts claim more bytes than the file has")


def read_card(path: Path) -> dict[str, Any] | None:
    """The card beside a network's file; None if there is none.

    Raises:
        ExchangeError: it is damaged, or none of a network of a version known here.
    """
    try:
        card = json.loads(regular(card_path(path)).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ExchangeError(f"{card_path(path)}: not JSON: {error}") from None
    kind = (card.get("type"), card.get("version")) if isinstance(card, dict) else None
    if kind != (NETWORK, VERSION):
        raise ExchangeError(f"{card_path(path)}: not the card of a network of version {VERSION}")
    return card


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

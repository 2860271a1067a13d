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
from lib.core.untrusted import regular, shown
from lib.zoo.exchange.kinds import is_safetensors, of_pickle, what_is
from lib.zoo.exchange.opening import ExchangeError
from lib.zoo.exchange.wrapped import inside

NETWORK, VERSION = "netspace-network", 1
PYTORCH = (".pt", ".pth", ".ckpt", ".th", ".bin", ".pth.tar", ".pt.tar", ".ckpt.tar")
SUFFIXES = (".safetensors", *PYTORCH)
MARKS = "_.+-=@,()[]#%&!~"
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)


def checked_name(name: str, where: str = "") -> str:
    """A name that can be that of a file in a given folder, and nowhere else.

    Raises:
        ExchangeError: it cannot; the message begins with `where`.
    """
    if not re.fullmatch(rf"\w[\w {re.escape(MARKS)}]{{0,150}}", name):
        raise ExchangeError(
            f"{where}{name!r} cannot name a network: at most 150 letters, digits, spaces and "
            f"{' '.join(MARKS)} can, beginning with a letter or digit"
        )
    return name


def suffix_of(path: Path) -> str:
    """The suffix by which a file is taken for a network's, as it is written; empty if by none."""
    found = (suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))
    length = len(max(found, key=len, default=""))
    return path.name[len(path.name) - length :]


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

    A PyTorch file may hold the state itself, or a dict in which it is one of several things
    (`lib.zoo.exchange.wrapped`). Names stay as they are.

    Raises:
        ExchangeError: there is no such file, it holds objects that would have to be unpickled, or
            no state dict; says what it is instead.
    """
    try:
        if (what := what_is(path)) is not None:
            raise ExchangeError(f"{path}: {what}")
        if path.suffix.lower() == ".safetensors" or is_safetensors(path):
            return read_tensors(path)[0]
        _check_stored(regular(path))
        with warnings.catch_warnings(action="ignore"):  # of pickles that are refused anyway
            found = torch.load(path, map_location="cpu", weights_only=True)
    except ExchangeError:
        raise
    except FileNotFoundError:
        raise ExchangeError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        raise ExchangeError(
            f"{path}: refused: not a PyTorch file of tensors alone, what else it holds could run "
            f"code: {of_pickle(str(error))}"
        ) from None
    except Exception as error:  # damaged pickles fail in every way there is
        raise ExchangeError(f"{path}: not a PyTorch file: {_first_line(error)}") from None
    try:
        state = inside(found)
    except ValueError as error:
        raise ExchangeError(f"{path}: {error}") from None
    if state is None:
        raise ExchangeError(f"{path}: holds no state dict (tensors by name), but {_shown(found)}")
    _check_plain(path, state)
    return {name: value.detach() for name, value in state.items()}


def _shown(found: Any) -> str:
    """What a file holds that is no state dict."""
    if isinstance(found, Tensor):
        return f"one tensor of shape {list(found.shape)} without names"
    if isinstance(found, list | tuple):
        return f"a {type(found).__name__} of {len(found)} things without names"
    if isinstance(found, Mapping):
        if {"state", "param_groups"} <= set(found):
            return "the state of an optimizer"
        return f"a dict of {', '.join(shown(key) for key in list(found)[:6]) or 'nothing'}"
    return f"a {type(found).__name__}"


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

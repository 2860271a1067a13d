"""A plain folder of networks: state dicts in PyTorch or safetensors files, with cards or a table.

What `export` and `python -m lib decode` write is such a folder.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from lib import nets
from lib.core.repro import file_sha256
from lib.core.untrusted import is_hidden
from lib.engine.ensemble import stack_states
from lib.zoo.exchange.files import (
    SUFFIXES,
    checked_name,
    digest,
    read_card,
    read_state,
    suffix_of,
)
from lib.zoo.exchange.importing import Source
from lib.zoo.exchange.network import Form, Image, find_form, shapes
from lib.zoo.exchange.opening import ExchangeError
from lib.zoo.exchange.told import read_table

FORMAT = "folder"
OURS = ("architecture", "network", "source", "source_sha256")


def read(
    folder: Path,
    architecture: str | None = None,
    size: int | None = None,
    table: Path | None = None,
) -> Source:
    """A folder of networks, looked through with all folders in it; a network is called by its file.

    Networks may have batch norm or be fused. All of one architecture are for images of one kind.
    Hidden files are passed by, and so are folders that are called as networks are.

    Args:
        folder: with `.safetensors` files and those of PyTorch (`.pt`, `.pth`, `.ckpt`, `.th`,
            `.bin`, `.pth.tar`), in small letters or capitals.
        architecture: registered architecture of those networks whose card or row does not say it.
        size: image size in pixels, where card and parameters leave it open.
        table: CSV file with a row for each network: `network`, the path of its file in the folder
            without suffix, and any columns of a shard (lib/zoo/store/FORMAT.md, section 5), such as
            `split`, `seed`, `validation_accuracy`; rows with the same `run` share a split
            (`lib.zoo.exchange.told`).

    Raises:
        ExchangeError: naming the file that is at fault, and what is wrong.
    """
    seen = sorted(p for p in folder.rglob("*") if suffix_of(p) and not is_hidden(p, folder))
    paths = [path for path in seen if not path.is_dir()]
    skipped = {
        f"folder called as a network is ({path.relative_to(folder)})": 1
        for path in seen
        if path.is_dir()
    }
    if not paths:
        raise ExchangeError(f"{folder}: holds no network ({', '.join(SUFFIXES)})")
    names = {path: _name(path, folder) for path in paths}
    ids = Counter(name.replace("/", ".") for name in names.values())
    if twice := [name for name in names.values() if ids[name.replace("/", ".")] > 1]:
        raise ExchangeError(f"{folder}: two files hold a network {twice[0]!r}")
    files = {path.relative_to(folder).as_posix(): name for path, name in names.items()}
    told = read_table(table, set(names.values()), files) if table else {}
    rows, forms = [], {}
    for path, name in names.items():
        card = read_card(path) or {}
        row = {**_mapping(path, card.get("instance")), **told.get(name, {})}
        known = row.get("architecture") or card.get("architecture") or architecture
        if not known:
            raise ExchangeError(f"{path}: nothing says its architecture; name it")
        if known not in forms:
            forms[known] = _form(known, path, card, size)
        if (number := row.pop("instance", None)) is not None:
            row.setdefault("run", f"{known} {number}")
        own = (known, name.replace("/", "."), path.relative_to(folder).as_posix())
        row |= dict(zip(OURS, (*own, file_sha256(path)), strict=True))
        rows.append({"run": name} | row)
    frame = pd.DataFrame(rows).dropna(axis=1, how="all")
    frame = frame.sort_values("architecture", kind="stable", ignore_index=True)

    def states(piece: pd.DataFrame) -> dict[str, Tensor]:
        form, paths = (
            forms[piece["architecture"].iloc[0]],
            [folder / one for one in piece["source"]],
        )
        found = [_state(path, form) for path in paths]
        for path, state in zip(paths, found, strict=True):
            if set(state) != set(found[0]):
                raise ExchangeError(
                    f"{path}: of {path.name} and {paths[0].name} one has batch norm and one is "
                    "fused; part them"
                )
        return stack_states(found)

    provenance: dict[str, Any] = {"format": FORMAT, "folder": folder.resolve().name}
    if table:
        provenance["files"] = {table.name: file_sha256(table)}
    return Source(frame, {name: forms[name] for name in sorted(forms)}, states, provenance, skipped)


def _name(path: Path, folder: Path) -> str:
    """What a network is called: the path of its file in the folder, without suffix."""
    name = path.relative_to(folder).as_posix().removesuffix(suffix_of(path))
    name = unicodedata.normalize("NFC", name)
    checked_name(name.replace("/", "."), f"{path}: ")
    return name


def _mapping(path: Path, found: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping | None):
        raise ExchangeError(f"{path}: 'instance' in its card is not an object")
    return dict(found or {})


def _form(architecture: str, path: Path, card: Mapping[str, Any], size: int | None) -> Form:
    image, classes = card.get("image"), card.get("classes")
    if size is None and image is not None:
        classes = len(classes) if isinstance(classes, list) else classes
        known = [*image[:2], classes] if isinstance(image, list) else []
        if len(known) != 3 or not all(type(number) is int for number in known):
            raise ExchangeError(f"{path}: its card does not say image and classes")
        return Form(architecture, Image(*known))
    found = shapes(read_state(path))
    try:
        return find_form(architecture, found, size)
    except nets.ArchitectureError:
        raise
    except ValueError as error:
        raise ExchangeError(f"{path}: {error}") from None


def _state(path: Path, form: Form) -> dict[str, Tensor]:
    state, card = read_state(path), read_card(path) or {}
    try:
        own = form.own(state)
    except ValueError as error:
        raise ExchangeError(f"{path}: {error}") from None
    if "digest" in card and card["digest"] != digest(state):
        raise ExchangeError(f"{path}: its content does not match the digest in its card")
    return {k: v.float() for k, v in own.items() if not k.endswith(".num_batches_tracked")}

"""A plain folder of networks: state dicts in PyTorch or safetensors files, with cards or a table.

What `export` and `python -m lib decode` write is such a folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from lib.core.repro import file_sha256
from lib.engine.ensemble import stack_states
from lib.zoo.exchange.files import PYTORCH, digest, read_card, read_state
from lib.zoo.exchange.importing import Source
from lib.zoo.exchange.network import Form, Image, find_form, shapes
from lib.zoo.exchange.opening import ExchangeError

FORMAT = "folder"
SUFFIXES = (".safetensors", *(suffix for suffix in PYTORCH if suffix))
OURS = ("architecture", "network", "source", "source_sha256")


def read(
    folder: Path,
    architecture: str | None = None,
    size: int | None = None,
    table: Path | None = None,
) -> Source:
    """A folder of networks, looked through with all folders in it; a network is called by its file.

    Networks may have batch norm or be fused. All of one architecture are for images of one kind.

    Args:
        folder: with `.pt`, `.pth`, `.ckpt` and `.safetensors` files.
        architecture: registered architecture of those networks whose card or row does not say it.
        size: image size in pixels, where card and parameters leave it open.
        table: CSV file with a row for each network: `network`, the path of its file in the folder
            without suffix, and any columns of a shard (lib/zoo/store/FORMAT.md, section 5), such as
            `split`, `seed`, `validation_accuracy`; rows with the same `run` share a split.

    Raises:
        ExchangeError: naming the file that is at fault, and what is wrong.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    if not paths:
        raise ExchangeError(f"{folder}: holds no network ({', '.join(SUFFIXES)})")
    names = {path: path.relative_to(folder).with_suffix("").as_posix() for path in paths}
    if twice := [name for name, count in Counter(names.values()).items() if count > 1]:
        raise ExchangeError(f"{folder}: two files hold a network {twice[0]!r}")
    told = _table(table, set(names.values())) if table else {}
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
    return Source(frame, {name: forms[name] for name in sorted(forms)}, states, provenance)


def _table(path: Path, names: set[str]) -> dict[str, dict[str, Any]]:
    try:
        table = pd.read_csv(path, dtype={"network": str})
    except (ValueError, OSError) as error:
        raise ExchangeError(f"{path}: cannot be read as a table: {error}") from None
    if "network" not in table or table["network"].duplicated().any():
        raise ExchangeError(f"{path}: needs a column 'network' in which no name occurs twice")
    found = table.set_index("network").to_dict("index")
    for what, odd in (
        ("a file in the folder", sorted(set(found) - names)),
        ("a row in the table", sorted(names - set(found))),
    ):
        if odd:
            raise ExchangeError(f"{path}: network {odd[0]!r} has not {what}")
    return found


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
    except ExchangeError as error:
        raise ExchangeError(f"{path}: {error}") from None


def _state(path: Path, form: Form) -> dict[str, Tensor]:
    state, card = read_state(path), read_card(path) or {}
    if not form.fits(shapes(state)):
        raise ExchangeError(
            f"{path}: its parameters are not those of {form.architecture} for images of "
            f"{form.image.channels}x{form.image.size}x{form.image.size} and {form.image.classes} "
            "classes"
        )
    if "digest" in card and card["digest"] != digest(state):
        raise ExchangeError(f"{path}: its content does not match the digest in its card")
    return {k: v.float() for k, v in state.items() if not k.endswith(".num_batches_tracked")}

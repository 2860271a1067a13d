"""Encode and decode from file to file: networks and latents as safetensors, with JSON cards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lib.embed.arm import EmbedderError
from lib.embed.product import card_path, load_embedder
from lib.repro import atomic, digest_arrays
from lib.store import Catalogue

LATENTS, NETWORK, VERSION = "netspace-latents", "netspace-network", 1
METADATA = "netspace"  # the one key of a file's metadata: several would come in random order


def encode(
    embedder: str | Path,
    networks: Sequence[str | Path],
    out: str | Path,
    catalogue: str | Path | None = None,
) -> dict[str, str]:
    """Encode networks into one file: a latent [D] under the name of each, and a card beside it.

    Args:
        embedder: an embedder file.
        networks: safetensors files of parameters by name, with batch norm or fused; or, with a
            catalogue, ids of its networks.
        out: the safetensors file to write; its card is `<out>.json`.
        catalogue: the catalogue that ids are looked up in.

    Returns:
        The architecture of each network, by the name of its latent (file name without suffix, or
        id).

    Raises:
        EmbedderError: a file is missing or none of safetensors, holds no network of the embedder,
            or two have the same name.
        CatalogueError: no network has this id.
    """
    loaded = load_embedder(embedder)
    table = Catalogue.load(catalogue) if catalogue is not None else None
    latents: dict[str, Tensor] = {}
    architectures: dict[str, str] = {}
    for network in networks:
        name = str(network) if table else Path(network).stem
        if _checked(name) in latents:
            raise EmbedderError(f"two networks are called {name!r}; give each a name of its own")
        state = table.state_dict(name) if table else _read(network)[0]
        try:
            architectures[name] = loaded.identify(state)[0]
            latents[name] = loaded.encode(state).cpu()
        except EmbedderError as error:
            raise EmbedderError(f"{network}: {error}") from None
    origin = {"type": LATENTS, "version": VERSION, "embedder": loaded.card["digest"]}
    card = {
        **origin,
        "dataset": loaded.card.get("dataset"),
        "latent": loaded.arm.cfg.latent,
        "networks": [{"name": n, "architecture": a} for n, a in architectures.items()],
        "digest": _digest(latents),
    }
    _write(Path(out), latents, card, {METADATA: json.dumps(origin)})
    return architectures


def decode(
    embedder: str | Path, latents: str | Path, out: str | Path, architecture: str | None = None
) -> dict[str, str]:
    """Decode every latent of a file into a network of its own, with a card beside it.

    Args:
        embedder: an embedder file.
        latents: a safetensors file of latents [D], or of tables [n, D] whose rows are numbered.
        out: the folder to write `<name>.safetensors` and `<name>.safetensors.json` to.
        architecture: decode all as this one instead of the predicted ones.

    Returns:
        The architecture of each network by name.

    Raises:
        EmbedderError: the file is none of latents, or they are of another embedder; nothing is
            written then.
    """
    loaded = load_embedder(embedder)
    tensors, metadata = _read(latents)
    _same_embedder(latents, metadata, loaded.card["digest"])
    networks, cards = {}, {}
    for name, latent in _rows(latents, tensors):
        try:
            module = loaded.decode(latent, architecture)
            predicted = loaded.predict(latent.float())
        except EmbedderError as error:
            raise EmbedderError(f"{latents}: {name}: {error}") from None
        networks[name] = {k: v.cpu().contiguous() for k, v in module.state_dict().items()}
        layout = loaded.arm.spaces[module.architecture].layout
        cards[name] = {
            "type": NETWORK,
            "version": VERSION,
            "latent": name,
            "architecture": module.architecture,
            "predicted_architecture": predicted,
            "parameters": layout.size,
            "layout": layout.to_json(),
            "image": list(loaded.card["image"]),
            "mean": loaded.card.get("mean"),
            "std": loaded.card.get("std"),
            "classes": list(loaded.card["classes"]),
            "dataset": loaded.card.get("dataset"),
            "embedder": loaded.card["digest"],
            "digest": _digest(networks[name]),
        }
    for name, state in networks.items():
        _write(Path(out) / f"{name}.safetensors", state, cards[name])
    return {name: card["architecture"] for name, card in cards.items()}


def _rows(path: str | Path, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    seen = set()
    for key, tensor in tensors.items():
        parts = [(key, tensor)]
        if tensor.ndim == 2:
            parts = [(f"{key}-{i:04d}", row) for i, row in enumerate(tensor)]
        for name, latent in parts:
            if _checked(name, f"{path}: ") in seen:
                raise EmbedderError(f"{path}: two latents are called {name!r}")
            seen.add(name)
            yield name, latent
    if not seen:
        raise EmbedderError(f"{path}: holds no latent")


def _read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, in order of name, and metadata of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise EmbedderError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise EmbedderError(f"{path}: not a safetensors file: {error}") from None


def _write(
    path: Path, tensors: dict[str, Tensor], card: dict[str, Any], metadata: dict | None = None
) -> None:
    with _writing(path):
        with atomic(path) as temporary:
            save_file(tensors, temporary, metadata)
        with atomic(card_path(path)) as temporary:
            temporary.write_text(json.dumps(card, indent=2) + "\n")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbedderError(f"{path} cannot be written: {error.strerror}") from None


def _same_embedder(path: str | Path, metadata: Mapping[str, str], digest: str) -> None:
    """Refuse latents that say they are of another embedder, and files that are not of latents."""
    if METADATA not in metadata:
        return
    try:
        origin = json.loads(metadata[METADATA])
        kind, version, of = origin["type"], origin["version"], origin["embedder"]
    except (ValueError, KeyError, TypeError):
        raise EmbedderError(f"{path}: its metadata are damaged") from None
    if (kind, version) != (LATENTS, VERSION):
        raise EmbedderError(f"{path}: not latents of version {VERSION}")
    if of != digest:
        raise EmbedderError(f"{path}: these latents are of another embedder (its digest is {of})")


def _checked(name: str, where: str = "") -> str:
    """A name that can be that of a file in a given folder, and nowhere else."""
    if not re.fullmatch(r"\w[\w .+-]{0,150}", name):
        raise EmbedderError(
            f"{where}{name!r} cannot name a network: letters, digits, spaces and _ . + - can, "
            "beginning with a letter or digit"
        )
    return name


def _digest(tensors: Mapping[str, Tensor]) -> str:
    return digest_arrays({name: np.ascontiguousarray(t.numpy()) for name, t in tensors.items()})

"""Encode and decode from file to file: networks and latents as safetensors, with JSON cards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lib.embed.arm import EmbedderError
from lib.embed.product import load_embedder
from lib.zoo.exchange import files
from lib.zoo.exchange.files import checked_name, digest, read_tensors, write_tensors
from lib.zoo.store import Catalogue

LATENTS, VERSION = "netspace-latents", 1
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
        EmbedderError: a file holds no network of the embedder, or two have the same name.
        ExchangeError: a file is missing or none of safetensors, or the result cannot be written.
        CatalogueError: no network has this id.
    """
    loaded = load_embedder(embedder)
    table = Catalogue.load(catalogue) if catalogue is not None else None
    latents: dict[str, Tensor] = {}
    architectures: dict[str, str] = {}
    for network in networks:
        name = str(network) if table else Path(network).stem
        if checked_name(name) in latents:
            raise EmbedderError(f"two networks are called {name!r}; give each a name of its own")
        state = table.state_dict(name) if table else read_tensors(network)[0]
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
        "digest": digest(latents),
    }
    write_tensors(Path(out), latents, card, {METADATA: json.dumps(origin)})
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
        EmbedderError: the file holds no latents, or those of another embedder; nothing is written
            then.
        ExchangeError: a file is missing or none of safetensors, or the result cannot be written.
    """
    loaded = load_embedder(embedder)
    tensors, metadata = read_tensors(latents)
    _same_embedder(latents, metadata, loaded.card["digest"])
    networks, cards = {}, {}
    for name, latent in _rows(latents, tensors):
        try:
            module = loaded.decode(latent, architecture)
            predicted = loaded.predict(latent.float())
        except EmbedderError as error:
            raise EmbedderError(f"{latents}: {name}: {error}") from None
        networks[name] = {k: v.cpu().contiguous() for k, v in module.state_dict().items()}
        layout = loaded.arm.families[module.architecture].layout
        cards[name] = {
            "type": files.NETWORK,
            "version": files.VERSION,
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
            "digest": digest(networks[name]),
        }
    for name, state in networks.items():
        write_tensors(Path(out) / f"{name}.safetensors", state, cards[name])
    return {name: card["architecture"] for name, card in cards.items()}


def _rows(path: str | Path, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    seen = set()
    for key, tensor in tensors.items():
        parts = [(key, tensor)]
        if tensor.ndim == 2:
            parts = [(f"{key}-{i:04d}", row) for i, row in enumerate(tensor)]
        for name, latent in parts:
            if checked_name(name, f"{path}: ") in seen:
                raise EmbedderError(f"{path}: two latents are called {name!r}")
            seen.add(name)
            yield name, latent
    if not seen:
        raise EmbedderError(f"{path}: holds no latent")


def _same_embedder(path: str | Path, metadata: Mapping[str, str], embedder: str) -> None:
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
    if of != embedder:
        raise EmbedderError(f"{path}: these latents are of another embedder (its digest is {of})")

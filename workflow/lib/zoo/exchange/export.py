"""Networks of a zoo as files for everyone: safetensors, with a JSON card beside each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lib.core.progress import track
from lib.zoo.exchange.files import NETWORK, VERSION, checked_name, digest, write_tensors
from lib.zoo.exchange.network import Form, stored_form
from lib.zoo.exchange.opening import ExchangeError, open_zoo
from lib.zoo.store import Catalogue, read_header

CHUNK = 1 << 26


def export(
    zoo: Catalogue | str | Path,
    out: str | Path,
    architecture: str | Sequence[str] | None = None,
    split: str | Sequence[str] | None = None,
    status: str | Sequence[str] | None = "ok",
    where: str | None = None,
    ids: Sequence[str] | None = None,
    checkpoints: bool = False,
) -> list[Path]:
    """Write networks to `<out>/<id>.safetensors`, each with its card `<id>.safetensors.json`.

    The tensors are those of the shard bit for bit: batch norm is fused. The card says the
    architecture and how to build it, all that the catalogue knows of the network, its provenance,
    and the digest of the tensors.

    Args:
        zoo: a catalogue, its file, a shard, or a folder of shards.
        out: the folder to write to.
        architecture, split, status: only networks of these (None: of all).
        where: only networks that meet a condition on columns, such as
            `validation_accuracy >= 0.9 and learning_rate < 0.1` (`lib.zoo.store.where`).
        ids: only these networks, all of which must be there and meet the rest.
        checkpoints: intermediate checkpoints too, not only the results of runs.

    Returns:
        The safetensors files written.

    Raises:
        ExchangeError: nothing is chosen, an id cannot be a file name, or it cannot be written.
        ConditionError, CatalogueError: a condition is wrong, a shard is not as catalogued.
        ShardError: a shard is damaged.
    """
    zoo = open_zoo(zoo)
    chosen = zoo.select(architecture, split, status, where, checkpoints)
    if ids is not None:
        if unknown := sorted(set(ids) - set(chosen["network"])):
            raise ExchangeError(f"no network {unknown[0]!r} among those chosen from")
        chosen = chosen[chosen["network"].isin(ids)]
    if chosen.empty:
        raise ExchangeError("no network is as asked for")
    for name in chosen["network"]:
        checked_name(name)
    written = []
    groups = chosen.groupby("shard", sort=False)
    for shard, rows in track(groups, "export", total=groups.ngroups):
        path = zoo.root / shard
        form, header = stored_form(path), read_header(path)
        origin = {"provenance": header.provenance, "shard": {"sha256": header.sha256}}
        step = max(1, CHUNK // (4 * form.layout.size))
        for at in range(0, len(rows), step):
            piece = rows.iloc[at : at + step]
            flat = torch.from_numpy(zoo.weights(piece))
            for weights, row in zip(flat, piece.to_dict("records"), strict=True):
                state = {k: v.clone() for k, v in form.layout.unflatten(weights).items()}
                written.append(Path(out) / f"{row['network']}.safetensors")
                card = _card(form, row) | origin | {"digest": digest(state)}
                write_tensors(written[-1], state, card)
    return written


def _card(form: Form, row: dict[str, Any]) -> dict[str, Any]:
    image = form.image
    call = f"{form.architecture!r}, {image.channels}, {image.size}, {image.classes}"
    return {
        "type": NETWORK,
        "version": VERSION,
        "network": row["network"],
        "architecture": form.architecture,
        "build": f"lib.nets.fuse.fused_skeleton(lib.nets.build({call})).eval()",
        "parameters": form.layout.size,
        "layout": form.layout.to_json(),
        "image": [image.channels, image.size, image.size],
        "classes": image.classes,
        "instance": {k: _plain(v) for k, v in row.items() if k not in ("shard", "row")},
    }


def _plain(value: Any) -> Any:
    """A value that JSON can hold; what is missing or not finite is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value

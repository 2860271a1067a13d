"""An imported zoo as part of a study: its networks in the place of ones the study would train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F

from lib.config import Instances
from lib.core.repro import file_sha256
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.training.memory import ZOO
from lib.zoo.exchange.network import Image, stored_form
from lib.zoo.exchange.opening import ExchangeError, open_zoo
from lib.zoo.extract import network_name
from lib.zoo.store import Catalogue, Shard, read_header
from lib.zoo.store.format import STANDARD

SPLITS = ("test", "validation", "train")  # in the order in which a study numbers its networks


def adopt(
    zoo: Catalogue | str | Path,
    architecture: str,
    counts: Instances,
    instances: range,
    validation: ImageSplit,
    provenance: Mapping[str, Any],
    *,
    where: str = ZOO,
) -> Shard:
    """A shard of a study from an imported zoo.

    Of each split the study takes as many healthy networks as it would train, the first ones of the
    zoo, and numbers them as its own; `source_network` keeps their names. Their validation accuracy
    and loss are measured on the study's images.

    Args:
        zoo: a catalogue, its file, a shard, or a folder of shards.
        architecture: which networks of it.
        counts: networks of each split that the whole study has of this architecture.
        instances: numbers of those that go into this shard.
        validation: the study's validation images.
        provenance: of the study; that of the zoo is put beside it as `imported`.
        where: the block of the config that asks for them, for messages.

    Raises:
        ExchangeError: the zoo has too few networks, or they are for other images.
        CatalogueError, ShardError: there is no such architecture in it; a file is damaged.
    """
    zoo = open_zoo(zoo)
    rows = _rows(zoo, architecture, counts, where).iloc[instances.start : instances.stop]
    shards = [zoo.root / shard for shard in rows["shard"].unique()]
    forms = [stored_form(shard) for shard in shards]
    wanted = Image(*validation.x.shape[1:3], len(validation.classes))
    for shard, form in zip(shards, forms, strict=True):
        if form.image != wanted:
            raise ExchangeError(
                f"{shard}: its networks are for {_shown(form.image)}, the study's images are "
                f"{_shown(wanted)}"
            )
    weights = zoo.weights(rows)
    stack = forms[0].layout.unflatten(torch.from_numpy(weights).to(validation.x.device))
    logits = ensemble.predict(forms[0].module.to(validation.x.device), stack, validation.x)
    losses = torch.stack([F.cross_entropy(one, validation.y) for one in logits])
    frame = pd.DataFrame(
        {
            **{name: rows[name].to_numpy() for name in STANDARD if name in rows},
            "network": [network_name(architecture, number) for number in instances],
            "instance": list(instances),
            "validation_loss": losses.double().cpu().numpy(),
            "validation_accuracy": ensemble.accuracy(logits, validation.y).double().cpu().numpy(),
            "source_network": rows["network"].to_numpy(),
        }
    )
    origin = {path.name: file_sha256(path) for path in shards}
    of_zoo = {"shards": origin, "provenance": read_header(shards[0]).provenance}
    return Shard(
        architecture,
        forms[0].layout.to_json(),
        weights,
        frame,
        provenance={**provenance, "imported": of_zoo},
        arguments=wanted.to_json(),
    )


def _rows(zoo: Catalogue, architecture: str, counts: Instances, where: str) -> pd.DataFrame:
    """The networks that the study takes, in its order."""
    found = []
    for split in SPLITS:
        rows, count = zoo.select(architecture, split), getattr(counts, split)
        if len(rows) < count:
            raise ExchangeError(
                f"{zoo.root}: has {len(rows)} healthy {split} networks of {architecture}, the "
                f"study asks for {count}: give other numbers in {where}.instances or "
                f"{where}.overrides"
            )
        found.append(rows.head(count))
    return pd.concat(found, ignore_index=True)


def _shown(image: Image) -> str:
    return f"{image.channels}x{image.size}x{image.size} and {image.classes} classes"

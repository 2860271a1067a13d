"""The formats that zoos are imported from, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.zoo.exchange import folder, model_zoo_dataset, small_cnn_zoo
from lib.zoo.exchange.importing import Source, checkpoints
from lib.zoo.exchange.opening import ExchangeError

FORMATS = {module.FORMAT: module.read for module in (small_cnn_zoo, model_zoo_dataset, folder)}


def read(name: str, source: str | Path, options: Mapping[str, Any] | None = None) -> Source:
    """A zoo in one of the formats; `checkpoints` among the options may be text.

    Raises:
        ExchangeError: an unknown format, an option it does not take, no such folder, or whatever
            is wrong in it.
    """
    if name not in FORMATS:
        raise ExchangeError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
    if not Path(source).is_dir():
        raise ExchangeError(f"{source}: no such folder")
    options, takes = dict(options or {}), inspect.signature(FORMATS[name]).parameters
    if odd := sorted(set(options) - set(takes)):
        raise ExchangeError(f"format {name} takes no {odd[0]}")
    if isinstance(options.get("checkpoints"), str):
        options["checkpoints"] = checkpoints(options["checkpoints"])
    return FORMATS[name](Path(source), **options)

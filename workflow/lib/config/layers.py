"""Layers of a configuration: the default study, files and the command line, one over the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib.config.types import Drawn

DRAWN = frozenset(Drawn.model_fields)


@dataclass
class Layers:
    """What all layers say together.

    Attributes:
        raw: the study as plain data; `spaces` holds the blocks alone.
        chosen: the spaces that a list chooses, last list first; None where no layer has one.
        named: the spaces that a layer above the lowest names, in its order.
        asked: experiments that a layer above the lowest asks for by name, as (space, experiment).
    """

    raw: Any
    chosen: list[Any] | None = None
    named: list[str] = field(default_factory=list)
    asked: set[tuple[str, str]] = field(default_factory=set)


def merged(lowest: Mapping[str, Any], *layers: Any) -> Layers:
    """Layers over the lowest one, blocks key by key, lists as a whole.

    A list under `spaces` replaces no block: it chooses what a run without targets makes. A list
    under `experiments` of a space asks for these and no others; settings below it stay.
    """
    found = Layers(dict(lowest))
    for layer in layers:
        if not isinstance(layer, Mapping):
            return Layers(layer)
        layer, spaces = dict(layer), layer.get("spaces")
        if isinstance(spaces, list | tuple):
            found.chosen = list(layer.pop("spaces"))
        elif isinstance(spaces, Mapping):
            layer["spaces"] = {
                name: _with_experiments(found, name, spaces[name]) for name in spaces
            }
        found.raw = over(found.raw, layer)
    return found


def over(whole: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data, changed key by key, blocks inside as well.

    A block of another `kind` and another way to draw a number replace the one below.
    """
    result = dict(whole)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = over(below, value) if _alike(below, value) else value
    return result


def _alike(below: Any, above: Any) -> bool:
    """Whether two values are blocks of which one can be merged over the other."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return False
    if below and above and DRAWN.issuperset(below) and DRAWN.issuperset(above):
        return False
    return above.get("kind", below.get("kind")) == below.get("kind")


def _with_experiments(found: Layers, name: Any, space: Any) -> Any:
    """A layer's block of a space, a list of experiments as the blocks it stands for."""
    if name not in found.named:
        found.named.append(name)
    if not isinstance(space, Mapping):
        return space
    wanted = space.get("experiments")
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not all(isinstance(one, str) for one in wanted):
            return space
        below = found.raw.get("spaces", {})
        for key in (name, "experiments"):
            below = below.get(key) if isinstance(below, Mapping) else None
        kept = below if isinstance(below, Mapping) else {}
        chosen = {one: kept.get(one) or {} for one in wanted}
        space = {**space, "experiments": dict.fromkeys(kept) | chosen}
    if isinstance(wanted := space.get("experiments"), Mapping):
        found.asked |= {(name, one) for one, cfg in wanted.items() if cfg is not None}
    return space

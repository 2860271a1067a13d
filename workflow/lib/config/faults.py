"""What is wrong with a configuration, in words: the field, its value and what is allowed."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

MOST = 20
NO_NAME = (
    "files cannot be called so: a name is a letter, then letters, digits and _, 100 of them at most"
)
WORDING = {
    "model_type": "must be a block of `key: value` lines",
    "dict_type": "must be a block of `key: value` lines",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "string_type": "must be text",
    "int_from_float": "must be a whole number",
    "missing": "is required",
    "union_tag": "must be a block of `key: value` lines",
}
_short = reprlib.Repr()
_short.maxlevel = 2
_short.maxstring = _short.maxother = 80


def faults(error: ValidationError, model: type[BaseModel]) -> str:
    """An indented line for each field at fault, at most `MOST` of them."""
    lines = [f"  {_say(fault, model)}" for fault in error.errors(include_url=False)]
    if len(lines) > MOST:
        lines[MOST:] = [f"  and {len(lines) - MOST} more"]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value as Python writes it, shortened."""
    try:
        return _short.repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return f"{type(value).__name__} too long to show"


def block_in(annotation: Any) -> type[BaseModel] | None:
    """The first block that a type such as `Block`, `Block | None` or `dict[str, Block]` names."""
    return next(iter(blocks_in(annotation)), None)


def blocks_in(annotation: Any) -> list[type[BaseModel]]:
    """All blocks that a type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [block for one in get_args(annotation) for block in blocks_in(one)]


def nearest(name: Any, known: Iterable[str], are: str = "known are") -> str:
    """What is known, after what may have been meant: "did you mean a? known are a, b"."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}{are} {', '.join(known) or 'none'}"


def _say(fault: Any, model: type[BaseModel]) -> str:
    location, inside = _place(fault["loc"], model)
    field = ".".join(map(str, location)) or "study"
    if fault["type"] == "extra_forbidden":
        return f"{field}: no such key; {_known(location[-1], inside)}"
    if fault["type"] == "value_error":
        return f"{field}: {fault['msg'].removeprefix('Value error, ')}"
    if location and location[-1] == "[key]":
        return f"{field.removesuffix('.[key]')}: {NO_NAME}"
    kind = fault["type"]
    if kind.startswith("union_tag"):
        if isinstance(fault["input"], Mapping):
            kinds = [block.model_fields["kind"].default for block in blocks_in(inside)]
            return f"{field}.kind: must be {' or '.join(kinds)}{_got_kind(fault['input'])}"
        kind = "union_tag"
    words = WORDING.get(kind) or re.sub(r"^(Input|Tuple|String) should", "must", fault["msg"])
    got = "" if kind == "missing" else f", got {shown(fault['input'])}"
    return f"{field}: {words}{got}"


def _got_kind(block: Mapping[str, Any]) -> str:
    return f", got {shown(block['kind'])}" if block.get("kind") is not None else ""


def _known(key: str | int, inside: Any) -> str:
    if not (isinstance(inside, type) and issubclass(inside, BaseModel)):
        return "remove it"
    return nearest(key, inside.model_fields, "known keys are")


def _place(location: tuple[str | int, ...], model: type[BaseModel]) -> tuple[list, Any]:
    """The keys that lead to a fault, and the type of what holds it.

    Pydantic names the kind of a block among them where there are two; nobody wrote it there.
    """
    keys, holder, inside = [], model, model
    for key in location:
        kinds = {
            block.model_fields["kind"].default: block
            for block in blocks_in(inside)
            if "kind" in block.model_fields
        }
        if len(kinds) > 1 and key in kinds and not _is_block(inside):
            inside = kinds[key]
            continue
        keys.append(key)
        holder, inside = inside, _inside(inside, key)
    return keys, inside if location and location[-1] not in keys else holder


def _is_block(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(outer: Any, key: str | int) -> Any:
    """The type of what `key` leads to: a field of a block, or an item of a mapping or list."""
    if not _is_block(outer):
        items = get_args(outer)
        return items[-1] if get_origin(outer) is dict else block_in(outer)
    annotation = outer.model_fields[key].annotation if key in outer.model_fields else None
    alone = get_origin(annotation) in (Union, UnionType) and len(blocks_in(annotation)) == 1
    return block_in(annotation) if alone else annotation

"""What is wrong with a configuration, in words: the field, its value and what is allowed."""

from __future__ import annotations

import difflib
import reprlib
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

MOST = 20
WORDING = {
    "model_type": "must be a block of `key: value` lines",
    "dict_type": "must be a block of `key: value` lines",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "string_type": "must be text",
    "int_from_float": "must be a whole number",
    "missing": "is required",
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
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(block_in, get_args(annotation))), None)


def _say(fault: Any, model: type[BaseModel]) -> str:
    field = ".".join(map(str, fault["loc"])) or "study"
    if fault["type"] == "extra_forbidden":
        return f"{field}: no such key; {_known(fault['loc'], model)}"
    if fault["type"] == "value_error":
        return f"{field}: {fault['msg'].removeprefix('Value error, ')}"
    words = WORDING.get(fault["type"], fault["msg"].replace("Input should be", "must be", 1))
    got = "" if fault["type"] == "missing" else f", got {shown(fault['input'])}"
    return f"{field}: {words}{got}"


def _known(location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    inside: Any = model
    for key in location[:-1]:
        inside = _inside(inside, key)
    if not (isinstance(inside, type) and issubclass(inside, BaseModel)):
        return "remove it"
    close = difflib.get_close_matches(str(location[-1]), inside.model_fields, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}known keys are {', '.join(inside.model_fields)}"


def _inside(outer: Any, key: str | int) -> Any:
    """The type of what `key` leads to: a field of a block, or an item of a mapping or list."""
    if not (isinstance(outer, type) and issubclass(outer, BaseModel)):
        return block_in(outer)
    annotation = outer.model_fields[key].annotation if key in outer.model_fields else None
    return block_in(annotation) if get_origin(annotation) in (Union, UnionType) else annotation

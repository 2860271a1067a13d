"""What the JSON schema of the configuration says of a key, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def nested(field: Mapping, shape: Mapping) -> tuple[list[Mapping], bool]:
    """The blocks that a field may hold, and whether it holds any number of them."""
    for inside, many in (
        (field, False),
        (by_name(field), True),
        (field.get("items"), True),
    ):
        if inside and (found := _blocks(inside, shape)):
            return found, many
    for option in field.get("anyOf", ()):
        if (found := nested(option, shape))[0]:
            return found
    return [], False


def by_name(field: Mapping) -> Mapping | None:
    """What a block of any names holds for each; None where it is no such block."""
    values = [field.get("additionalProperties"), *field.get("patternProperties", {}).values()]
    return next((value for value in values if isinstance(value, Mapping)), None)


def _blocks(field: Mapping, shape: Mapping) -> list[Mapping]:
    """The blocks that a part of a schema refers to: one, or several to choose from."""
    options = [field, *field.get("anyOf", ()), *field.get("oneOf", ())]
    names = [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]
    return [shape["$defs"][name] for name in names]


def kind_of(block: Mapping) -> str | None:
    """The value of its key `kind` by which a block is told from others; None without."""
    return block["properties"].get("kind", {}).get("const")


def scalar(value: Any) -> str:
    """A plain value on one line of YAML."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def allowed(field: Mapping, tick: str = "") -> str:
    """What a plain field may hold, from its part of the JSON schema."""
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(allowed(option, tick) for option in field[several])
    if "const" in field or "enum" in field:
        values = field.get("enum", [field.get("const")])
        return ", ".join(f"{tick}{scalar(value)}{tick}" for value in values)
    kind = field.get("type", "any value")
    if kind == "object" and (inside := by_name(field)):
        return f"for each name: {allowed(inside, tick)}"
    if kind == "object" and "description" in field:
        words = field["description"]
        return words if tick else words.replace("`", "")
    if kind == "null":
        return f"{tick}null{tick}"
    if kind == "boolean":
        return f"{tick}true{tick}, {tick}false{tick}"
    if kind == "array":
        return _list(field, tick)
    if kind == "string":
        if "pattern" in field:
            return f"text matching {tick}{field['pattern']}{tick}"
        return "text, not empty" if field.get("minLength") else "text"
    name = {"integer": "whole number", "object": "block"}.get(kind, kind)
    bounds = [
        f"{sign} {field[key]:g}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in field
    ]
    return " ".join([name, " and ".join(bounds)]).strip()


def _list(field: Mapping, tick: str) -> str:
    if "prefixItems" in field:
        return f"list: {'; '.join(allowed(item, tick) for item in field['prefixItems'])}"
    least = f", at least {field['minItems']}" if field.get("minItems") else ""
    return f"list of {allowed(field.get('items', {}), tick)}{least}"

"""The reference of the configuration: `config/README.md`, a table for each kind of block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lib.config.wording import allowed, kind_of, nested, scalar


class Reference:
    """Tables of all blocks that a schema names, each once, in the order of the file."""

    def __init__(self, shape: Mapping[str, Any]) -> None:
        """Of this JSON schema."""
        self.shape = shape
        self.titles: dict[str, str] = {}  # of blocks that are described, by the schema's names

    def tables(self) -> Iterator[str]:
        """The tables, as Markdown."""
        yield from self._tables("", "", self.shape)

    def _tables(self, path: str, kind: str, block: Mapping[str, Any]) -> Iterator[str]:
        title = f"## {_title(path, kind)}" if path else "## The study"
        rows = [
            f"{title}\n",
            f"{' '.join(block['description'].split())}\n",
            "| key | allowed | default | description |",
            "|---|---|---|---|",
        ]
        inner: list[tuple[str, str, Mapping[str, Any]]] = []
        for key, field in block["properties"].items():
            blocks, many = nested(field, self.shape)
            place = (f"{path}.{key}" if path else key) + (".NAME" if many else "")
            for one in blocks:
                if one["title"] not in self.titles:
                    one_kind = kind_of(one) or kind
                    self.titles[one["title"]] = _title(place, one_kind)
                    inner.append((place, one_kind, one))
            may = self._links(blocks, many) if blocks else allowed(field, "`")
            default = "required"
            if "default" in field:
                default = self._default(field["default"], blocks, many)
            cells = (f"`{key}`", may, default, field["description"])
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        yield "\n".join(rows)
        for place, one_kind, one in inner:
            yield from self._tables(place, one_kind, one)

    def _links(self, blocks: list[Mapping[str, Any]], many: bool) -> str:
        titles = [self.titles[block["title"]] for block in blocks]
        links = [f"[{title.replace('`', '')}](#{anchor(title)})" for title in titles]
        return f"{'a block for each name: ' if many else ''}{' or '.join(links)}"

    def _default(self, value: Any, blocks: list[Mapping[str, Any]], many: bool) -> str:
        """What a key is if it is left out; of a block, what differs from where it is described."""
        if not blocks or not value:
            return f"`{scalar(value)}`"
        if many:
            names = value if isinstance(value, Mapping) else ()
            return ", ".join(f"`{name}`" for name in names) or "see there"
        changed = differences(value, defaults(blocks[0]))
        return "; ".join(["see there", *changed])


def defaults(block: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a block's keys, of those that have one."""
    fields = block["properties"].items()
    return {key: field["default"] for key, field in fields if "default" in field}


def differences(value: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> list[str]:
    """What a block holds that another does not, key by key."""
    found = []
    for key, one in value.items():
        if one == other.get(key):
            continue
        if isinstance(one, Mapping) and isinstance(other.get(key), Mapping):
            found += differences(one, other[key], f"{path}{key}.")
        else:
            found.append(f"`{path}{key}: {scalar(one)}`")
    return found


def anchor(title: str) -> str:
    """Where a title's link leads, as GitHub makes it."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in "_- ")
    return kept.replace(" ", "-")


def _title(path: str, kind: str) -> str:
    return f"`{path}`" + (f" of {kind}" if kind else "")

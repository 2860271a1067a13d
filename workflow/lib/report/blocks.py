"""What a page is built of: figures with their controls, tables, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go


@dataclass(frozen=True)
class Choice:
    """One setting of a control: by figure, which traces are shown and which axis ranges hold."""

    text: str
    visible: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    ranges: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    @property
    def json(self) -> str:
        """The setting as the page's script reads it."""
        return json.dumps({"visible": self.visible, "ranges": self.ranges})


@dataclass(frozen=True)
class Control:
    """Buttons (few choices) or a list (many) that switch what figures show; the first is on."""

    id: str
    label: str
    choices: Sequence[Choice]

    @property
    def kind(self) -> str:
        """How it is drawn: buttons up to three choices, a list from four."""
        return "buttons" if len(self.choices) <= 3 else "list"


@dataclass(frozen=True)
class Figure:
    """A plotly figure, what it shows in words (for those who cannot see it) and its CSV."""

    id: str
    figure: go.Figure
    label: str
    caption: str
    source: str
    title: str = ""

    @property
    def json(self) -> str:
        """The figure as plotly.js reads it, safe inside a script element."""
        return self.figure.to_json().replace("<", "\\u003c")

    @property
    def height(self) -> int:
        """Height in CSS pixels, reserved before the figure is drawn."""
        return int(self.figure.layout.height)


@dataclass(frozen=True)
class Cell:
    """Text of one table cell, with a smaller second line (an interval, an explanation)."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    """A table of text; the first `heads` columns name the row, `group` filters rows by a list."""

    id: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str
    source: str
    heads: int = 1
    group: Sequence[str] = field(default=())
    strong: Sequence[bool] = field(default=())
    chooser: str = "Networks of"

    @property
    def groups(self) -> list[str]:
        """Names of the row groups in order, empty where rows are not grouped."""
        return list(dict.fromkeys(self.group))

    @property
    def markdown(self) -> str:
        """The rows as Markdown, the second line of a cell in brackets; without the caption."""
        lines = [list(self.columns), ["---"] * len(self.columns)]
        for k, row in enumerate(self.rows):
            cells = [f"{cell.text} ({cell.small})" if cell.small else cell.text for cell in row]
            lines.append([self.group[k], *cells] if self.group else cells)
        if self.group:
            lines[0].insert(0, "")
            lines[1].insert(0, "---")
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@dataclass(frozen=True)
class Picture:
    """Pixel images of one thing side by side: (title, PNG as data URI), width over height."""

    title: str
    images: Sequence[tuple[str, str]]
    rows: int
    note: str


@dataclass(frozen=True)
class Shown:
    """One choice of a scene: what each panel shows, a mesh by name (none if empty) and a caption.

    `pictures` are names of meshes whose pictures stand for the choice.
    """

    text: str
    panels: Sequence[tuple[str, str]]
    pictures: Sequence[str]


@dataclass(frozen=True)
class Scene:
    """Panels of meshes that turn together; a list, or a slider, chooses what they show."""

    id: str
    label: str
    panels: Sequence[str]
    choices: Sequence[Shown]
    caption: str
    source: str
    slider: bool = False
    title: str = ""

    @property
    def meshes(self) -> list[str]:
        """Names of all meshes in it."""
        return [name for choice in self.choices for name, _ in choice.panels if name]

    @property
    def json(self) -> str:
        """Mesh and caption of each panel, choice by choice, safe inside a script element."""
        return json.dumps([choice.panels for choice in self.choices]).replace("<", "\\u003c")

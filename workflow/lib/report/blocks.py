"""What a page is built of: text, figures with their controls, tables, pictures, meshes.

A page is a list of sections, a section a list of these blocks in reading order. Each is drawn by
the macro of `workflow/report/blocks.html.j2` that is named as its class, in small letters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import plotly.graph_objects as go


@dataclass(frozen=True)
class Block:
    """Anything that stands in a section."""

    template: ClassVar[str] = "blocks.html.j2"


@dataclass(frozen=True)
class Text(Block):
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Headline(Block):
    """What the data say, in larger letters."""

    text: str


@dataclass(frozen=True)
class Heading(Block):
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Note(Block):
    """Small print; `sources` are names of files that are linked below it."""

    text: str
    sources: Sequence[str] = ()


@dataclass(frozen=True)
class Bullets(Block):
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Verdict:
    """One question put to the data; `state` is reached, short, open (not measured) or note.

    `goal` is what would be reached, `source` the table that the answer comes from.
    """

    state: str
    question: str
    answer: str
    goal: str
    source: str

    @classmethod
    def told(
        cls, question: str, answer: str, source: str, beside: str = "beside its controls"
    ) -> Verdict:
        """One without a goal: what was found, or that it was not measured."""
        state, goal = "note" if answer else "open", f"No threshold set; {beside}"
        return cls(state, question, answer or "Not measured", goal, source)


@dataclass(frozen=True)
class Verdicts(Block):
    """The table of questions, with what the data say."""

    verdicts: Sequence[Verdict]


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
class Control(Block):
    """Buttons (few choices) or a list (many) that switch what figures show; the first is on."""

    id: str
    label: str
    choices: Sequence[Choice]

    @property
    def kind(self) -> str:
        """How it is drawn: buttons up to three choices, a list from four."""
        return "buttons" if len(self.choices) <= 3 else "list"

    @classmethod
    def owners(
        cls, id: str, label: str, options: Mapping[Any, str], figures: Mapping[str, Sequence[Any]]
    ) -> Control:
        """One that shows the traces of one owner at a time.

        Args:
            id: of the control.
            label: before it.
            options: text of each choice, by owner.
            figures: by figure, the owner of each of its traces; None: shown always; a set: those
                owners with whom it is shown.
        """
        choices = [
            Choice(text, {k: [_shown(of, owner) for of in owners] for k, owners in figures.items()})
            for owner, text in options.items()
        ]
        return cls(id, label, choices)

    @classmethod
    def zoom(
        cls, id: str, axis: str, ids: Sequence[str], ends: Mapping[str, Sequence[float]]
    ) -> Control:
        """One that chooses the range of an axis ("xaxis" or "yaxis") of figures, by its text."""
        label = {"x": "Horizontal axis", "y": "Vertical axis"}[axis[0]]
        choices = [
            Choice(text, ranges={key: {axis: list(values)} for key in ids})
            for text, values in ends.items()
        ]
        return cls(id, label, choices)


def _shown(of: Any, owner: Any) -> bool:
    return of is None or (owner in of if isinstance(of, set | frozenset) else of == owner)


@dataclass(frozen=True)
class Figure(Block):
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
class Figures(Block):
    """Figures side by side, as many in a row as there is room for; `small` ones need less."""

    figures: Sequence[Figure]
    small: bool = False


@dataclass(frozen=True)
class Hover(Block):
    """A figure beside which a picture of the mark under the pointer is shown.

    The `customdata` of its marks name the pictures; `alt` says what they show.
    """

    template: ClassVar[str] = "scene.html.j2"
    figure: Figure
    alt: str


@dataclass(frozen=True)
class Cell:
    """Text of one table cell, with a smaller second line (an interval, an explanation)."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Table(Block):
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

    def only(self, group: str) -> Table:
        """The rows of one group, as a table without groups."""
        inside = [k for k, name in enumerate(self.group) if name == group]
        strong = [self.strong[k] for k in inside] if self.strong else ()
        return replace(self, rows=[self.rows[k] for k in inside], group=(), strong=strong)

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


class Rows:
    """Rows of a table as they come, with their group and whether they stand out."""

    def __init__(self) -> None:
        self.rows: list[Sequence[Cell]] = []
        self.group: list[str] = []
        self.strong: list[bool] = []

    def add(self, *cells: Cell | str, group: str = "", strong: bool = False) -> None:
        """One more row; text becomes a cell."""
        self.rows.append([Cell(cell) if isinstance(cell, str) else cell for cell in cells])
        self.group.append(group)
        self.strong.append(strong)

    def table(
        self, id: str, columns: Sequence[str], caption: str, source: str, **more: Any
    ) -> Table:
        """The table; rows are grouped if any has a group."""
        group = self.group if any(self.group) else ()
        return Table(
            id, columns, self.rows, caption, source, group=group, strong=self.strong, **more
        )


@dataclass(frozen=True)
class Glossary(Block):
    """Words with their explanations, folded away under a title."""

    title: str
    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Details(Block):
    """Blocks that are folded away under a title."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Picture:
    """Pixel images of one thing side by side: (title, PNG as data URI), width over height."""

    title: str
    images: Sequence[tuple[str, str]]
    rows: int
    note: str


@dataclass(frozen=True)
class Pictures(Block):
    """Networks as images, one below the other."""

    pictures: Sequence[Picture]
    source: str


@dataclass(frozen=True)
class Run(Block):
    """How a page was made: `page.run_facts`; the one block that may differ between equal runs."""

    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Embedded(Block):
    """Plain data that a script of the page reads from the element with this id."""

    id: str
    data: Any

    @property
    def json(self) -> str:
        """The data, safe inside a script element."""
        return json.dumps(self.data).replace("<", "\\u003c")


@dataclass(frozen=True)
class Shown:
    """One choice of a scene: what each panel shows, a mesh by name (none if empty) and a caption.

    `pictures` are names of meshes whose pictures stand for the choice.
    """

    text: str
    panels: Sequence[tuple[str, str]]
    pictures: Sequence[str]


@dataclass(frozen=True)
class Scene(Block):
    """Panels of meshes that turn together; a list, or a slider, chooses what they show."""

    template: ClassVar[str] = "scene.html.j2"
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

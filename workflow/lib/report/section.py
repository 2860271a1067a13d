"""A section of a page, and the results of a space that sections are made from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from lib.experiments import columns
from lib.report.blocks import Block, Control, Verdict
from lib.report.inputs import (
    Prep,
    read_card,
    read_preps,
    read_recognised,
    read_table,
    results_alone,
)
from lib.report.meshes import Meshes, read_meshes
from lib.report.networks import per_network, trained_accuracy
from lib.report.style import Palette

SPREAD = 0.2  # of accuracies, from which on a zoo is said to hold good and poor networks
TEXTS = ("band", "ends", "start", "start_from", "nearest", "mended")
TABLES = {
    "classifiers": {"catalogue": columns.CATALOGUE, **columns.CLASSIFIERS},
    "fields": {
        "catalogue": columns.FIELD_CATALOGUE,
        "shapes": columns.SHAPES,
        "left_out": columns.LEFT_OUT,
        **columns.FIELDS,
    },
}
MAY_BE_EMPTY = ("left_out",)
Files = Mapping[str, str | Path | Sequence[str | Path]]


@dataclass(frozen=True)
class Section:
    """One section of a page.

    Attributes:
        id: that of its element, for the tabs and for links: the experiment's name.
        title: its heading.
        tab: what the row of tabs calls it.
        blocks: what it shows, in reading order.
        verdicts: its rows of the table of questions.
        shortcomings: sentences on what did not work.
        headline: of the whole page; only reconstruction has one.
        first: what the answer shows of it, ahead of the table of questions.
    """

    id: str
    title: str
    tab: str
    blocks: Sequence[Block]
    verdicts: Sequence[Verdict] = ()
    shortcomings: Sequence[str] = ()
    headline: str = ""
    first: Sequence[Block] = ()


@dataclass(frozen=True)
class PageData:
    """What a space's page is made from; tables have the columns of `lib.experiments.columns`.

    Empty texts in tables are "", not NaN.

    Attributes:
        space: the name of the space.
        architectures: those that it holds, in class order.
        experiments: those that it was asked for, in the order of the page.
        files: paths by name.
        tables: frames by name: those of the experiments, `catalogue`, `latent_map`; of fields
            also `shapes` and `left_out`.
        losses: curves of the embedder's training, by its seed.
        parameters: how many weights each architecture has.
        latent: how many numbers a latent has.
        base: the folder that the page will lie in.
        teacher: whether decoded networks are pulled towards a teacher.
    """

    space: str
    architectures: tuple[str, ...]
    experiments: tuple[str, ...]
    files: Files
    tables: Mapping[str, pd.DataFrame]
    losses: Mapping[str, pd.DataFrame]
    parameters: Mapping[str, int]
    latent: int
    base: Path
    teacher: bool = False

    @classmethod
    def load(
        cls,
        files: Files,
        *,
        space: str,
        kind: str,
        architectures: Sequence[str],
        experiments: Sequence[str],
        seeds: Sequence[int],
        base: str | Path,
        teacher: bool = False,
    ) -> PageData:
        """Read and check all tables.

        Args:
            files: see `lib.report.report.space_page`.
            space: the name of the space.
            kind: `classifiers` or `fields`.
            architectures: those that it holds, in class order.
            experiments: those that it was asked for.
            seeds: of the embedders, in the order of `files["losses"]`.
            base: the folder that the page will lie in.
            teacher: whether decoded networks are pulled towards a teacher.

        Raises:
            ReportError: naming the first file that is missing or does not keep the contract.
        """
        names = [name for name in TABLES[kind] if name not in columns.CLASSIFIERS | columns.FIELDS]
        tables = {
            name: read(one(files[name]), name, kind)
            for name in (*names, "latent_map", *experiments)
        }
        catalogue = results_alone(tables["catalogue"])
        if "architecture" in catalogue:
            catalogue = catalogue[catalogue["architecture"].isin(architectures)]
        tables["catalogue"] = catalogue.reset_index(drop=True)
        losses = {
            str(seed): read_table(path, "losses", columns.LOSSES)
            for seed, path in zip(seeds, files.get("losses", ()), strict=False)
        }
        return cls(
            space=space,
            architectures=tuple(architectures),
            experiments=tuple(experiments),
            files=files,
            tables=tables,
            losses=losses,
            base=Path(base),
            teacher=teacher,
            **read_card(one(files["card"])),
        )

    def __getitem__(self, name: str) -> pd.DataFrame:
        """A table by its name."""
        return self.tables[name]

    def __contains__(self, name: str) -> bool:
        """Whether there is such a table."""
        return name in self.tables

    @property
    def several(self) -> bool:
        """Whether the space holds more than one architecture."""
        return len(self.architectures) > 1

    @cached_property
    def palette(self) -> Palette:
        """Colors and signs of the architectures."""
        return Palette(self.architectures)

    @cached_property
    def links(self) -> dict[str, str]:
        """Where each file lies, seen from the page; curves also as `losses/<seed>`."""
        links = {name: relative(one(path), self.base) for name, path in self.files.items() if path}
        paths = self.files.get("losses", ())
        for seed, path in zip(self.losses, paths, strict=False):
            links[f"losses/{seed}"] = relative(path, self.base)
        return links

    @cached_property
    def good(self) -> pd.DataFrame:
        """The networks of the catalogue that did not diverge."""
        return self["catalogue"][self["catalogue"]["status"] == "ok"]

    @cached_property
    def epochs(self) -> dict[str, int]:
        """For how many epochs each network was trained; empty where that is not known."""
        if "epochs" not in self["catalogue"]:
            return {}
        known = self["catalogue"].dropna(subset=["epochs"])
        return dict(known[["network", "epochs"]].itertuples(index=False))

    @cached_property
    def spread(self) -> bool:
        """Whether accuracies in the zoo differ widely: good and poor networks."""
        values = self.good["validation_accuracy"]
        return bool(values.max() - values.min() > SPREAD)

    @cached_property
    def networks(self) -> pd.DataFrame:
        """Reconstruction by method and network, see `networks.per_network`; empty without it."""
        if "reconstruction" not in self:
            return pd.DataFrame(columns=["method", "architecture", "network", "target_accuracy"])
        return per_network(self["reconstruction"])

    @cached_property
    def trained(self) -> dict[str, float]:
        """Mean test accuracy of the trained test networks, by architecture."""
        return trained_accuracy(self.networks)

    @cached_property
    def preps(self) -> list[Prep]:
        """Networks as pictures; none where there is no such file."""
        return read_preps(one(self.files["preps"])) if self.files.get("preps") else []

    @cached_property
    def recognised(self) -> list[str]:
        """What was recognised in the source of the images, a sentence each."""
        return read_recognised(one(self.files["images"])) if self.files.get("images") else []

    @cached_property
    def meshes(self) -> Meshes:
        """The small meshes of a page on shapes, and their pictures."""
        return read_meshes(one(self.files["scenes"]))

    def told(self, frame: pd.DataFrame, tell: Callable[[pd.DataFrame], str]) -> list[str]:
        """What is to be told of each architecture's rows of a table; empty texts are left out."""
        texts = {name: tell(frame[frame["architecture"] == name]) for name in self.shown(frame)}
        return [f"{name}: {text}" if self.several else text for name, text in texts.items() if text]

    def chooser(self, id: str, owners: Mapping[str, Sequence[object]]) -> list[Control]:
        """What chooses the architecture that figures show; nothing where there is but one.

        Args:
            id: of the control.
            owners: by figure, the architecture of each of its traces (see `Control.owners`).
        """
        if not self.several:
            return []
        there = [name for name in self.architectures if any(name in of for of in owners.values())]
        return [Control.owners(id, "Networks of", dict(zip(there, there, strict=True)), owners)]

    def shown(self, frame: pd.DataFrame) -> list[str]:
        """The architectures that a table has rows of, in class order."""
        there = set(frame["architecture"])
        return [name for name in self.architectures if name in there]


def one(path: str | Path | Sequence[str | Path]) -> Path:
    """The path, or the first of several."""
    return Path(path if isinstance(path, str | Path) else path[0])


def relative(path: str | Path, base: str | Path) -> str:
    """Link to `path` from a page in the folder `base`."""
    return Path(os.path.relpath(path, base)).as_posix()


def read(path: Path, name: str, kind: str) -> pd.DataFrame:
    """A table by its name, for spaces of a kind; empty texts are "", not NaN.

    Raises:
        ReportError: as `read_table`.
    """
    frame = read_table(path, name, TABLES[kind][name], may_be_empty=name in MAY_BE_EMPTY)
    texts = [column for column in TEXTS if column in frame]
    return frame.assign(
        **{column: frame[column].astype(object).fillna("").astype(str) for column in texts}
    )


@dataclass(frozen=True)
class PageKind:
    """What pages of one kind of space are made of.

    Attributes:
        title: heading of the page.
        lead: what stands below it.
        before: sections ahead of those of the experiments.
        experiments: the section of each experiment, by its name.
        after: sections behind those of the experiments; None: nothing to show.
        zoo: the section on the zoo.
        measured: what the answer says of how it was measured.
        unit: what means and intervals are over: "networks", "shapes".
    """

    title: Callable[[PageData], str]
    lead: Callable[[PageData], str]
    before: Sequence[Callable[[PageData], Section]]
    experiments: Mapping[str, Callable[[PageData], Section]]
    after: Sequence[Callable[[PageData], Section | None]]
    zoo: Callable[[PageData], Section]
    measured: str
    unit: str

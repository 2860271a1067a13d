"""Pages that compare variants of a space: what each changes, the curves, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from lib.report.blocks import (
    Block,
    Bullets,
    Figures,
    Glossary,
    Headline,
    Run,
    Table,
    Text,
    Verdict,
    Verdicts,
)
from lib.report.charts import Chart, figure
from lib.report.page import page, run_facts
from lib.report.section import Section, relative

Changes = Mapping[str, Mapping[str, object]]
ASIDE = ("variants", "embedder.seeds")


@dataclass(frozen=True)
class Comparison:
    """What such a page shows; `said` is a list of sentences."""

    title: str
    lead: str
    headline: str
    verdicts: Sequence[Verdict]
    charts: Sequence[Chart]
    said: Sequence[str]
    table: Table


def comparison_page(
    shown: Comparison,
    changes: Changes,
    sources: Mapping[str, Path],
    run: Mapping,
    base: str | Path,
    name: str = "",
) -> str:
    """The page as HTML text.

    Args:
        shown: what is on it.
        changes: what each variant changes, by its name.
        sources: the CSVs that blocks name as their source.
        run: facts about the run, as for `report.space_page`.
        base: folder in which the page will lie; links are relative to it.
        name: of the space.
    """
    sizes: list[Block] = [Bullets(shown.said)] if shown.said else []
    sizes.append(Figures([figure(chart) for chart in shown.charts]))
    words = [(variant, in_words(changed)) for variant, changed in changes.items()]
    sections = [
        Section(
            "answer",
            "The answer",
            "The answer",
            [Headline(shown.headline), Verdicts(shown.verdicts)],
            shown.verdicts,
        ),
        Section("sizes", "What it takes", "Sizes", sizes),
        Section(
            "variants",
            "All variants",
            "All variants",
            [shown.table, Glossary("What each variant changes", words)],
        ),
        Section(
            "made",
            "How it was made",
            "How it was made",
            [
                Text("Every number above comes from the CSV named beside it, but for the times."),
                Run(run_facts(run)),
            ],
        ),
    ]
    links = {key: relative(path, base) for key, path in sources.items()}
    return page(shown.title, shown.lead, sections, links, headline=shown.headline, name=name)


def changed(base: BaseModel, variants: Mapping[str, BaseModel]) -> dict[str, dict[str, object]]:
    """What each variant of a space has other than the space, by the key's path.

    Seeds, experiments and the list of variants are not among it.
    """
    own = _flat(base.model_dump(mode="json"))
    return {
        name: {key: value for key, value in found.items() if own.get(key) != value}
        for name, found in ((n, _flat(v.model_dump(mode="json"))) for n, v in variants.items())
    }


def along(changes: Changes, *keys: str) -> list[str]:
    """Names of the variants that differ from the first one in these keys at most.

    Few networks cannot fill a large batch of them: networks in a step may differ too.
    """
    apart = {*keys, "embedder.networks"}
    rest = {
        name: {key: value for key, value in found.items() if key not in apart}
        for name, found in changes.items()
    }
    return [name for name in rest if rest[name] == next(iter(rest.values()))]


def in_words(changed: Mapping[str, object]) -> str:
    """What a variant changes, in one line."""
    found = (f"{key.removeprefix('embedder.')} {value}" for key, value in changed.items())
    return ", ".join(found) or "nothing"


def _flat(block: Mapping[str, object], path: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in block.items():
        if f"{path}{key}" in ASIDE:
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = value
    return found

"""Pages that compare variants of a space: what each changes, the curves, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from lib.report.blocks import Table
from lib.report.charts import Chart, figure
from lib.report.page import relative, render, run_facts
from lib.report.summary import Verdict

Changes = Mapping[str, Mapping[str, object]]


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


def page(
    shown: Comparison, changes: Changes, sources: Mapping[str, Path], run: Mapping, base: Path
) -> str:
    """The page as HTML text.

    Args:
        shown: what is on it.
        changes: what each variant changes, by its name.
        sources: the CSVs that blocks name as their source.
        run: facts about the run, as for `multiarch_report`.
        base: folder in which the page will lie; links are relative to it.
    """
    return render(
        "variants.html.j2",
        shown=shown,
        figures=[figure(chart) for chart in shown.charts],
        changes=[(name, in_words(changed)) for name, changed in changes.items()],
        links={name: relative(path, base) for name, path in sources.items()},
        facts=run_facts(run),
    )


def changed(base: BaseModel, variants: Mapping[str, BaseModel]) -> dict[str, dict[str, object]]:
    """What each variant of a block has other than the block, by the key's path.

    Seeds and the list of variants are not among it.
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
        if f"{path}{key}" in ("ablations", "embedder.seeds"):
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = value
    return found

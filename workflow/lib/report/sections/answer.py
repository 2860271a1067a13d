"""The answer: what was found, the table of questions, the pictures that show it."""

from __future__ import annotations

from collections.abc import Sequence

from lib.report.blocks import Headline, Note, Verdicts
from lib.report.section import Section


def section(sections: Sequence[Section], measured: str) -> Section:
    """Made of the other sections; `measured` says on what, and what the intervals are."""
    headline = next((part.headline for part in sections if part.headline), "")
    verdicts = [verdict for part in sections for verdict in part.verdicts]
    first = [block for part in sections for block in part.first]
    blocks = [Headline(headline)] if headline else []
    blocks += [*first, *([Verdicts(verdicts)] if verdicts else []), Note(measured)]
    return Section("answer", "The answer", "The answer", blocks, headline=headline)

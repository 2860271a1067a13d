"""What did not work: goals that were not reached, and what sections say of themselves."""

from __future__ import annotations

from collections.abc import Sequence

from lib.report.blocks import Bullets
from lib.report.section import Section


def section(sections: Sequence[Section]) -> Section | None:
    """Made of the other sections; None where there is nothing to say."""
    short = [
        f"{verdict.question} Short of its goal ({verdict.goal}). {verdict.answer}."
        for part in sections
        for verdict in part.verdicts
        if verdict.state == "short"
    ]
    said = [*short, *(text for part in sections for text in part.shortcomings)]
    if not said:
        return None
    return Section("shortcomings", "What did not work", "What did not work", [Bullets(said)])

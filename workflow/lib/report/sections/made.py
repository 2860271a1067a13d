"""How the page was made: the facts of the run."""

from __future__ import annotations

from collections.abc import Mapping

from lib.report.blocks import Run, Text
from lib.report.page import run_facts
from lib.report.section import Section


def section(run: Mapping, unit: str) -> Section:
    """The last section; `unit` is what means are over."""
    text = (
        "Every number above comes from the CSV named beside it. The intervals are at 95 %, Student "
        f"t intervals over {unit} where nothing else is said; they assume that these are "
        "independent and say nothing about other seeds of the embedder."
    )
    return Section("made", "How it was made", "How it was made", [Text(text), Run(run_facts(run))])

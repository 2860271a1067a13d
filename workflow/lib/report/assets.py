"""The files that pages are made of: templates, styles and scripts."""

from __future__ import annotations

from pathlib import Path

TEMPLATES = Path(__file__).parents[2] / "report"


def assets() -> list[Path]:
    """The template, style and script files that pages are made of (what makes a page stale)."""
    return sorted(p for p in TEMPLATES.iterdir() if p.suffix in (".j2", ".css", ".js"))

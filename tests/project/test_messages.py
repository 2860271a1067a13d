"""The messages that the guide to running explains are those that are said."""

from pathlib import Path

import pytest
import snakemake

ROOT = Path(__file__).parents[2]
SAID = {
    "Error: Directory cannot be locked.": Path(snakemake.__file__).parent,
    "Is conda installed and accessible?": Path(snakemake.__file__).parent,
    "was killed, most often because memory ran out": ROOT / "rules",
    " failed; its log, ": None,
    ", ends with": None,
    " is not a valid study:": ROOT / "workflow",
    "cannot be written: ": ROOT / "workflow",
    "is on a read-only file system": ROOT / "workflow",
    "may not be written to": ROOT / "workflow",
    "does not match its digest": ROOT / "workflow",
    "truncated": ROOT / "workflow",
    "damaged": ROOT / "workflow",
    "No Python 3.11 or 3.12 found": ROOT / "envs",
}


@pytest.mark.parametrize("message", SAID)
def test_a_message_of_the_guide_is_said(message):
    guide = (ROOT / "docs/guides/running.md").read_text()
    section = guide.partition("## When something goes wrong")[2].partition("\n## ")[0]
    assert message in section
    if SAID[message]:
        files = [path for kind in ("py", "smk", "sh") for path in SAID[message].rglob(f"*.{kind}")]
        assert any(message in path.read_text() for path in files)

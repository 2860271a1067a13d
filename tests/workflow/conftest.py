"""The tiny study, run once through Snakemake and shared by all tests of the workflow."""

from pathlib import Path

import pytest

from places import copied, edit, empty, run_fixture, source, study

__all__ = ["copied", "edit", "empty", "run_fixture", "source", "study"]


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)

"""The tiny study, run once through Snakemake and shared by all tests of the workflow."""

from places import copied, edit, empty, run_fixture, source, study

__all__ = ["copied", "edit", "empty", "run_fixture", "source", "study"]

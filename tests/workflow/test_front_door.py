"""Commands of the README, as they are written there."""

import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def test_a_report_is_asked_for_by_its_path_alone(run, source):
    ended = run([sys.executable, "-m", "snakemake", "results/multiarch_report.html", "-n"], source)
    assert ended.code == 0, ended.text
    assert ended.jobs["space_report"] == 1 and ended.jobs["train_shard"] == 12


def test_snakemake_has_nothing_to_remark(run, source):
    ended = run([sys.executable, "-m", "snakemake", "--lint"], source)
    assert ended.code == 0, ended.text


def test_the_rules_are_written_as_snakefmt_writes_them(run, source):
    rules = ["Snakefile", "workflow/Snakefile", "rules"]
    ended = run([str(BIN / "snakefmt"), "--check", *rules], source)
    assert ended.code == 0, ended.text


def test_the_workflow_is_found_where_the_catalogue_looks(run, source, tmp_path):
    snakefile = str(source / "workflow/Snakefile")
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "-s", snakefile]
    ended = run(command, tmp_path)
    assert ended.code == 0, ended.text
    assert ended.jobs["space_report"] == 3 and ended.jobs["digests"] == 1

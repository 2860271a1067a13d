"""What planning costs is measured on real dry runs."""

from lib.bench import dag


def test_a_study_is_planned_and_its_workflow_read(tmp_path):
    found = dag.measure(80, 5, tmp_path)
    assert 32 < found.jobs < 80, "16 shards, each trained and extracted, and the steps after them"
    assert found.baseline_cpu_seconds > 0 and found.cpu_seconds > 0
    assert found.peak_bytes > 50e6
    assert list(tmp_path.iterdir()) == [tmp_path / ".snakemake"]
    head, row = dag.table([found]).splitlines()
    assert len(head) == len(row) and row.split()[:3] == ["80", "5", str(found.jobs)]

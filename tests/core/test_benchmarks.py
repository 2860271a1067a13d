"""What Snakemake measured of jobs."""

from __future__ import annotations

from lib.core.benchmarks import cpu_seconds


def test_times_are_the_median_of_seeds(tmp_path):
    for k, seconds in enumerate((1.0, 9.0, 4.0)):
        (tmp_path / f"{k}.tsv").write_text(f"s\tcpu_time\n{seconds}\t{2 * seconds}\n")
    assert cpu_seconds({"v": [tmp_path / f"{k}.tsv" for k in range(3)]}) == {"v": 8.0}

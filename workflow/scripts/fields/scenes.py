"""Make the meshes of the page of a space of fields small, and pictures of them."""

from pathlib import Path

from lib.core.progress import job
from lib.report.scenes import write_scenes

params, data = snakemake.params, snakemake.input
with job(f"meshes of the page {snakemake.wildcards.space}", snakemake.log[0]) as log:
    tables = {name: Path(data[name]) for name in params.tables}
    count = write_scenes(
        Path(snakemake.output[0]), tables, Path(data.originals), Path(params.folder)
    )
    log.info("%d meshes", count)

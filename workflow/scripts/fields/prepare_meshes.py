"""Make or read the meshes of a zoo of fields and say which shape each is."""

from pathlib import Path

from lib.config import Instances
from lib.core.progress import job
from lib.core.repro import atomic
from lib.core.streams import Stream
from lib.data.shapes import left_out
from lib.zoo.fields import write_meshes

params, zoo = snakemake.params, snakemake.wildcards.zoo
with job(f"meshes {zoo}", snakemake.log[0]) as log:
    instances = Instances.model_validate(params.instances)
    source, stream = snakemake.input.get("source"), Stream("data", params.seed, params.data)
    table = write_meshes(Path(snakemake.output.meshes), source, instances, stream, f"zoos.{zoo}")
    unusable = left_out(source)
    log.info("%d shapes, %d meshes left out", len(table), len(unusable))
    for path, rows in ((snakemake.output.table, table), (snakemake.output.left_out, unusable)):
        with atomic(path) as temporary:
            rows.to_csv(temporary, index=False)

"""Read the meshes of a folder or archive, once, whatever number of them is used."""

from pathlib import Path

from lib.core.progress import job
from lib.core.streams import Stream
from lib.data.shapes import unpack

params, data = snakemake.params, snakemake.wildcards.data
with job(f"meshes {data}", snakemake.log[0]):
    unpack(params.source, Path(snakemake.output.meshes), Stream("data", params.seed, data))

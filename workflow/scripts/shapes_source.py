"""Read the meshes of a folder or archive, once, whatever number of them is used."""

from pathlib import Path

from lib.core.progress import job
from lib.data.shapes import unpack

with job("mesh files", snakemake.log[0]):
    unpack(snakemake.params.source, Path(snakemake.output.meshes), snakemake.params.seed)

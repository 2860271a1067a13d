"""Read the meshes of a folder or archive, once, whatever number of them is used."""

from pathlib import Path

from lib.data.shapes import unpack
from lib.progress import job

with job("mesh files", snakemake.log[0]):
    unpack(snakemake.params.source, Path(snakemake.output.meshes), snakemake.params.seed)

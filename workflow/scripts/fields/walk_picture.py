"""A walk between two test shapes as a picture, for documents."""

from pathlib import Path

import pandas as pd

from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.cover import walk_picture

with job(f"walk of {snakemake.wildcards.space}", snakemake.log[0]):
    picture = walk_picture(pd.read_csv(snakemake.input.table), Path(snakemake.input.meshes))
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_bytes(picture)

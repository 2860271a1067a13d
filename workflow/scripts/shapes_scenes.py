"""Make the meshes of the page on shapes small, and pictures of them."""

import json

from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.scenes import scenes
from lib.report.shape_inputs import read_tables
from lib.report.shape_scenes import wanted

with job("meshes of the page", snakemake.log[0]) as log:
    tables = read_tables(snakemake.input)
    found = scenes(snakemake.params.folder, *wanted(tables, tables["latent_map"]))
    log.info("%d meshes of at most %d triangles", len(found["meshes"]), found["triangles"])
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(found))

"""Write the content digest of everything the study made."""

import json

from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.digests import study_digests

with job("digests", snakemake.log[0]):
    files = [*snakemake.input.images, *snakemake.input.files, *snakemake.input.index]
    found = study_digests(snakemake.params.root, files, snakemake.input.shards)
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n")

"""Write the content digest of everything the study made."""

import json

from lib.digests import study_digests
from lib.progress import job
from lib.repro import atomic

with job("digests", snakemake.log[0]):
    files = [*snakemake.input.images, *snakemake.input.files, *snakemake.input.index]
    found = study_digests(snakemake.params.root, files, snakemake.input.shards)
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n")

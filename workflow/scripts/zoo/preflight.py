"""Try an architecture out, before any network of it is trained."""

import json

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.engine.preflight import preflight

params, wildcards = snakemake.params, snakemake.wildcards
zoo, architecture = wildcards.zoo, wildcards.architecture
with job(f"preflight {zoo} {architecture}", snakemake.log[0]):
    deterministic(1)
    images = load_split(snakemake.input.images)
    channels, size = images.x.shape[1:3]
    preflight(architecture, channels, size, len(images.classes), params.kernels)
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps({"works": architecture, "kernels": params.kernels}) + "\n")

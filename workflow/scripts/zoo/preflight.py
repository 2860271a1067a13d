"""Try out the architectures of a zoo, before any network of it is trained."""

import json

from lib.core.progress import job, track
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.engine.preflight import preflight

params, zoo = snakemake.params, snakemake.wildcards.zoo
with job(f"preflight {zoo}", snakemake.log[0]):
    deterministic(1)
    images = load_split(snakemake.input.images)
    channels, size = images.x.shape[1:3]
    for architecture in track(params.architectures, "architectures"):
        preflight(architecture, channels, size, len(images.classes), params.kernels)
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps({"works": list(params.architectures)}) + "\n")

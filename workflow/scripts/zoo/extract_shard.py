"""Fuse and store the networks of one trained shard."""

from lib.config import Instances
from lib.core.progress import job
from lib.core.repro import versions
from lib.data.images import load_split
from lib.engine.training.shard import load_raw
from lib.zoo.extract import extract
from lib.zoo.store import write_shard

params, wildcards = snakemake.params, snakemake.wildcards
with job(f"weights {wildcards.zoo} {wildcards.architecture} {wildcards.shard}", snakemake.log[0]):
    images = load_split(snakemake.input.images)
    provenance = {
        "dataset": images.name,
        "dataset_sha256": images.digest,
        "training": params.training,
        "versions": versions(),
    }
    trained = load_raw(snakemake.input.states, snakemake.input.columns)
    instances = Instances.model_validate(params.instances)
    shard = extract(wildcards.architecture, trained, instances, images, provenance)
    write_shard(snakemake.output[0], shard)

"""Take the networks of one shard from an imported zoo."""

from lib.config import Instances
from lib.core.progress import job
from lib.core.repro import deterministic, versions
from lib.data.images import load_split
from lib.zoo.exchange.adopt import adopt
from lib.zoo.store import write_shard

params, wildcards = snakemake.params, snakemake.wildcards
zoo, architecture = wildcards.zoo, wildcards.architecture
with job(f"weights {zoo} {architecture} {wildcards.shard}", snakemake.log[0]) as log:
    deterministic(**params.run)
    validation = load_split(snakemake.input.validation, params.run["device"])
    log.info("networks %d to %d from %s", *params.instances, params.zoo)
    provenance = {
        "dataset": validation.name,
        "dataset_sha256": validation.digest,
        "versions": versions(),
    }
    shard = adopt(
        params.zoo,
        architecture,
        Instances.model_validate(params.counts),
        range(*params.instances),
        validation,
        provenance,
        where=f"zoos.{zoo}",
    )
    write_shard(snakemake.output[0], shard)

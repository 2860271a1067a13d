"""Train the networks of one shard."""

from lib import zoo
from lib.config import Training
from lib.data.images import load_split
from lib.progress import job
from lib.repro import deterministic

params, architecture = snakemake.params, snakemake.wildcards.architecture
with job(f"zoo {architecture} {snakemake.wildcards.shard}", snakemake.log[0]) as log:
    deterministic(params.run["threads"])
    instances = range(*params.instances)
    log.info("%d networks of %s", len(instances), architecture)
    trained = zoo.train_shard(
        architecture,
        instances,
        Training.model_validate(params.training),
        params.width,
        params.seed,
        load_split(snakemake.input.train, params.run["device"]),
        load_split(snakemake.input.validation, params.run["device"]),
    )
    zoo.save_raw(trained, snakemake.output.states, snakemake.output.columns)

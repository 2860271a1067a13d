"""Train the networks of one shard."""

from lib.config import Training
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic
from lib.core.streams import Stream
from lib.data.images import load_split
from lib.engine.training import Engine
from lib.engine.training.shard import save_raw, train_shard

params, wildcards = snakemake.params, snakemake.wildcards
zoo, architecture = wildcards.zoo, wildcards.architecture
with (
    job(f"zoo {zoo} {architecture} {wildcards.shard}", snakemake.log[0]) as log,
    Checkpoint.of(snakemake) as checkpoint,
):
    deterministic(**params.run)
    instances = range(*params.instances)
    log.info("%d networks of %s, %s", len(instances), architecture, params.engine["kernels"])
    trained = train_shard(
        architecture,
        instances,
        Training.model_validate(params.training),
        Stream("zoo", params.seed, zoo, architecture),
        load_split(snakemake.input.train, params.run["device"]),
        load_split(snakemake.input.validation, params.run["device"]),
        engine=Engine(**params.engine, max_memory=snakemake.resources.plan_mb * 10**6),
        checkpoint=checkpoint,
        where=f"zoos.{zoo}",
    )
    save_raw(trained, snakemake.output.states, snakemake.output.columns)

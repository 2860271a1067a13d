"""Train the fields of some shapes, each on the samples of its own."""

from lib.config import FieldZoo
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic
from lib.core.streams import Stream
from lib.data.sdf import read_samples
from lib.engine.training.fields import train_fields
from lib.engine.training.shard import save_raw
from lib.nets import build_field

params, wildcards = snakemake.params, snakemake.wildcards
with (
    job(f"fields {wildcards.zoo} {wildcards.shard}", snakemake.log[0]),
    Checkpoint.of(snakemake) as checkpoint,
):
    deterministic(1)
    cfg, name = FieldZoo.model_validate(params.zoo), wildcards.architecture
    samples, instances = read_samples(snakemake.input.near), range(*params.instances)
    stream = Stream("shapes", params.seed, wildcards.zoo, name)
    trained = train_fields(
        lambda: build_field(name, cfg.widths, cfg.omega),
        [stream.of(instance) for instance in instances],
        cfg.training,
        samples.points,
        samples.distances,
        shared=stream if cfg.init == "shared" else None,
        checkpoint=checkpoint,
    )
    trained.columns["instance"] = list(instances)
    save_raw(trained, snakemake.output.states, snakemake.output.columns)

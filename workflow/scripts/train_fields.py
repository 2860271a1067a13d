"""Train the fields of some shapes, each on the samples of its own."""

from lib.config import Shapes
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic
from lib.data.sdf import read_samples
from lib.engine.training.fields import train_fields
from lib.engine.training.shard import save_raw
from lib.nets import build_field

params = snakemake.params
with (
    job(f"fields {snakemake.wildcards.shard}", snakemake.log[0]),
    Checkpoint.of(snakemake) as checkpoint,
):
    deterministic(1)
    cfg, name = Shapes.model_validate(params.shapes), snakemake.wildcards.field
    samples, instances = read_samples(snakemake.input.near), range(*params.instances)
    trained = train_fields(
        lambda: build_field(name, cfg.widths, cfg.omega),
        [("shapes", params.seed, name, instance) for instance in instances],
        cfg.training,
        samples.points,
        samples.distances,
        ("shapes", params.seed, name) if cfg.init == "shared" else None,
        checkpoint,
    )
    trained.columns["instance"] = list(instances)
    save_raw(trained, snakemake.output.states, snakemake.output.columns)

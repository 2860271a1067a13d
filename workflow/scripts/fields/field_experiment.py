"""Ask a space of fields one thing: fill the table of an experiment, and make its meshes."""

from importlib import import_module

from lib.config import FieldExperiments
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.experiments.files import field_task_of

params, wildcards = snakemake.params, snakemake.wildcards
name = wildcards.experiment
with job(f"{wildcards.space} {name}", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(**params.run)
    task = field_task_of(snakemake.input, params, wildcards.space, name, snakemake.output.meshes)
    cfg = FieldExperiments.block(name).model_validate(params.settings)
    table = import_module(f"lib.experiments.fields.{name}").run(task, cfg)
    with atomic(snakemake.output.table) as temporary:
        table.to_csv(temporary, index=False)

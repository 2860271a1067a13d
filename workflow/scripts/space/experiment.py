"""Ask a space of classifiers one thing: fill the table of an experiment."""

from importlib import import_module

from lib.config import ClassifierExperiments
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.experiments.files import task_of

params, wildcards = snakemake.params, snakemake.wildcards
name = wildcards.experiment
with job(f"{wildcards.space} {name}", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(**params.run)
    task = task_of(snakemake.input, params, wildcards.space, name)
    cfg = ClassifierExperiments.block(name).model_validate(params.settings)
    table = import_module(f"lib.experiments.{name}").run(task, cfg)
    with atomic(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False)

"""Encode all networks, map them in two dimensions and keep PReps before and after."""

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.core.tensors import save_file
from lib.experiments import latents
from lib.experiments.files import task_of

params, space = snakemake.params, snakemake.wildcards.space
with job(f"latents {space}", snakemake.log[0]):
    deterministic(**params.run)
    task = task_of(snakemake.input, params, space, "latents")
    table, found = latents.run(task)
    with atomic(snakemake.output.latents) as temporary:
        save_file(found, temporary)
    with atomic(snakemake.output.map) as temporary:
        table.to_csv(temporary, index=False)
    first = next(iter(task.embedders.values()))
    latents.write_preps(snakemake.output.preps, first, task.zoo["test"])

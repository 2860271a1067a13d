"""Map all fields of a space in two dimensions."""

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.experiments.fields import latents
from lib.experiments.files import field_task_of

params, space = snakemake.params, snakemake.wildcards.space
with job(f"latents {space}", snakemake.log[0]):
    deterministic(**params.run)
    task = field_task_of(snakemake.input, params, space, "latents")
    with atomic(snakemake.output[0]) as temporary:
        latents.run(task).to_csv(temporary, index=False)

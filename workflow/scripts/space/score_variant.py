"""Score one variant of a space of classifiers on networks of every split."""

from lib.config import ClassifierExperiments
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.experiments.files import task_of
from lib.experiments.variants import scores

params, wildcards = snakemake.params, snakemake.wildcards
space, variant = wildcards.space, wildcards.variant
with (
    job(f"scores {space} {variant} {wildcards.seed}", snakemake.log[0]),
    Checkpoint.of(snakemake),
):
    deterministic(**params.run)
    task = task_of(snakemake.input, params, space, "variants")
    cfg = ClassifierExperiments.block("reconstruction").model_validate(params.settings)
    table = scores(task, cfg, variant, params.trained_on)
    with atomic(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False)

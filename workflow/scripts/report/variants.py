"""Compare the variants of a space in one table."""

import pandas as pd

from lib.core.progress import job
from lib.core.repro import atomic
from lib.experiments import variants
from lib.experiments.fields import variants as field_variants

summary = {"classifiers": variants.summarise, "fields": field_variants.summary}
with job(f"variants {snakemake.wildcards.space}", snakemake.log[0]):
    scored = pd.concat([pd.read_csv(path) for path in snakemake.input], ignore_index=True)
    with atomic(snakemake.output[0]) as temporary:
        summary[snakemake.params.kind](scored).to_csv(temporary, index=False)

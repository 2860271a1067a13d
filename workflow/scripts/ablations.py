"""All variants of the embedder in one table, as CSV and for people."""

import pandas as pd

from lib.core.benchmarks import cpu_seconds
from lib.core.progress import job
from lib.core.repro import atomic
from lib.evaluate.ablation import markdown, summary

with job("ablations", snakemake.log[0]):
    found = pd.concat([pd.read_csv(path) for path in snakemake.input], ignore_index=True)
    with atomic(snakemake.output.table) as temporary:
        summary(found).to_csv(temporary, index=False)
    seconds = cpu_seconds(snakemake.params.benchmarks)
    with atomic(snakemake.output.page) as temporary:
        temporary.write_text(markdown(found, seconds))

"""All variants of the embedder in one table, as CSV and for people."""

from statistics import median

import pandas as pd

from lib.evaluate.ablation import markdown, summary
from lib.progress import job
from lib.repro import atomic

with job("ablations", snakemake.log[0]):
    found = pd.concat([pd.read_csv(path) for path in snakemake.input], ignore_index=True)
    with atomic(snakemake.output.table) as temporary:
        summary(found).to_csv(temporary, index=False)
    times = {
        name: [pd.read_csv(path, sep="\t")["cpu_time"].item() for path in paths]
        for name, paths in snakemake.params.benchmarks.items()
    }
    seconds = {name: median(values) for name, values in times.items()}
    with atomic(snakemake.output.page) as temporary:
        temporary.write_text(markdown(found, seconds))

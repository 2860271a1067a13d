"""All variants of the embedder in one table."""

import pandas as pd

from lib.evaluate.ablation import summary
from lib.progress import job
from lib.repro import atomic

with job("ablations", snakemake.log[0]):
    found = pd.concat([pd.read_csv(path) for path in snakemake.input], ignore_index=True)
    with atomic(snakemake.output[0]) as temporary:
        summary(found).to_csv(temporary, index=False)

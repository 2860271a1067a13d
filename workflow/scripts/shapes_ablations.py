"""Compare the variants of the space of shapes in one table."""

import pandas as pd

from lib.evaluate.shape_ablation import table
from lib.progress import job
from lib.repro import atomic

with job("shape ablations", snakemake.log[0]):
    scores = {
        variant: [pd.read_csv(path) for path in paths]
        for variant, paths in snakemake.params.scores.items()
    }
    found = table(scores)
    with atomic(snakemake.output[0]) as temporary:
        found.to_csv(temporary, index=False)

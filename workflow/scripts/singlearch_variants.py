"""Compare the variants of the space of one architecture in one table."""

import pandas as pd

from lib.core.progress import job
from lib.core.repro import atomic
from lib.evaluate.variants import of_networks

with job("single-architecture variants", snakemake.log[0]):
    found = pd.concat([pd.read_csv(path) for path in snakemake.input], ignore_index=True)
    with atomic(snakemake.output[0]) as temporary:
        of_networks(found).to_csv(temporary, index=False)

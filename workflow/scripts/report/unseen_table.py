"""What embedders generate of architectures they never saw, as tables for a document."""

import pandas as pd

from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.sections import unseen

with job("unseen architectures, for people", snakemake.log[0]):
    frames = [pd.read_csv(snakemake.input[key]) for key in ("unseen", "finetune")]
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text("\n".join(table.markdown for table in unseen.tables(*frames)))

"""Write the page that opens onto the reports."""

from pathlib import Path

from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.page import index_page

with job("index", snakemake.log[0]):
    page = index_page(list(snakemake.input.pages), Path(snakemake.output[0]).parent)
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(page)

"""Write the report on the space of one architecture."""

from pathlib import Path

from lib.config import Study
from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.run import about_single, run_facts
from lib.report.single_inputs import TABLES, SinglearchFiles
from lib.report.singlearch import singlearch_report

data = snakemake.input
with job("single-architecture report", snakemake.log[0]):
    study = Study.model_validate(snakemake.params.study)
    single = study.singlearch
    tables = {name: Path(str(data[name])) for name in TABLES}
    losses = dict(zip(map(str, single.embedder.seeds), data.losses, strict=True))
    artefacts = [*tables.values(), *data.embedders, *data.images]
    run = run_facts(study, snakemake.params.benchmarks, artefacts)
    base = Path(snakemake.output[0]).parent
    files = SinglearchFiles(**tables, losses=losses)
    page = singlearch_report(files, single.architecture, run, base, about_single(study))
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(page)

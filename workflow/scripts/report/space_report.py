"""Write the page of a space."""

from pathlib import Path

from lib.config import Study
from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.report import space_page
from lib.report.run import run_facts

params, data, space = snakemake.params, snakemake.input, snakemake.wildcards.space
with job(f"report {space}", snakemake.log[0]):
    study = Study.model_validate(params.study)
    named = [*params.tables, "card", "losses", "preps", "scenes", "images"]
    files = {name: data.get(name) for name in named if data.get(name)}
    artefacts = [data.get(name) for name in (*params.tables, "preps") if data.get(name)]
    artefacts += [*data.embedders, *data.get("images", [])]
    run = run_facts(study, space, params.benchmarks, artefacts)
    page = space_page(study, space, files, run, Path(snakemake.output[0]).parent)
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(page)

"""Write the page on variants of a space, and its table and figures for documents."""

from pathlib import Path

from lib.config import Study
from lib.core.benchmarks import cpu_seconds
from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.report import variants_page
from lib.report.run import run_facts

params, output, space = snakemake.params, snakemake.output, snakemake.wildcards.space
with job(f"variants {space}", snakemake.log[0]):
    study = Study.model_validate(params.study)
    given = {name: snakemake.input.get(name) for name in ("variants", "reconstruction")}
    files = {name: Path(str(path)) for name, path in given.items() if path}
    times = [path for paths in params.benchmarks.values() for path in paths]
    run = run_facts(study, space, times, files.values())
    seconds = cpu_seconds(params.benchmarks)
    made = variants_page(study, space, files, seconds, run, Path(output.page).parent)
    for path, text in ((output.page, made.page), (output.table, made.markdown)):
        with atomic(path) as temporary:
            temporary.write_text(text)
    folder = Path(output.figures)
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in made.figures.items():
        (folder / f"{name}.svg").write_text(svg)

"""Write the page on variants of a space, and its table and figures for documents."""

from pathlib import Path

from lib.config import Study
from lib.core.benchmarks import cpu_seconds
from lib.core.progress import job
from lib.core.repro import atomic
from lib.report import charts, shape_variants, single_variants, variants
from lib.report.inputs import read_table
from lib.report.run import run_facts

params, output = snakemake.params, snakemake.output
with job(f"variants, {params.part}", snakemake.log[0]):
    study = Study.model_validate(params.study)
    block = getattr(study, params.part)
    shows = {"singlearch": single_variants, "shapes": shape_variants}[params.part]
    sources = {name: Path(snakemake.input[name][0]) for name in shows.COLUMNS}
    tables = [read_table(path, name, shows.COLUMNS) for name, path in sources.items()]
    changes = variants.changed(block, {name: block.variant(name) for name in block.ablations})
    shown = shows.comparison(*tables, changes, cpu_seconds(params.benchmarks))
    run = run_facts(study, params.times, sources.values())
    page = variants.page(shown, changes, sources, run, Path(output.page).parent)
    for path, text in ((output.page, page), (output.table, shown.table.markdown)):
        with atomic(path) as temporary:
            temporary.write_text(text)
    folder = Path(output.figures)
    folder.mkdir(parents=True, exist_ok=True)
    for chart in shown.charts:
        (folder / f"{chart.id.removeprefix('fig-')}.svg").write_text(charts.svg(chart))

"""Write the report on the space of shapes."""

from pathlib import Path

from lib.config import Study
from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.run import about_shapes, run_facts
from lib.report.shape_inputs import COLUMNS, ShapeFiles
from lib.report.shapes import shapes_report

data = snakemake.input
with job("report on shapes", snakemake.log[0]):
    study = Study.model_validate(snakemake.params.study)
    tables = {name: Path(str(data[name])) for name in COLUMNS}
    files = ShapeFiles(**tables, scenes=Path(data.scenes[0]), card=Path(data.card[0]))
    artefacts = [*tables.values(), *data.embedders]
    run = run_facts(study, snakemake.params.benchmarks, artefacts)
    base = Path(snakemake.output[0]).parent
    page = shapes_report(files, run, base, about_shapes(study))
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(page)

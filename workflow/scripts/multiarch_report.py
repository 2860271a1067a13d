"""Write the report on the multi-architecture space."""

from pathlib import Path

from lib.config import Study
from lib.core.progress import job
from lib.core.repro import atomic
from lib.report.inputs import MultiarchFiles
from lib.report.multiarch import multiarch_report
from lib.report.run import about, run_facts

data = snakemake.input
with job("multi-architecture report", snakemake.log[0]):
    study = Study.model_validate(snakemake.params.study)
    files = MultiarchFiles(
        catalogue=data.catalogue[0],
        latent_map=data.latent_map,
        reconstruction=data.reconstruction[0],
        interpolation=data.interpolation[0],
        latent_optimization=data.latent_optimization[0],
        novelty=data.novelty[0],
        retrieval=data.retrieval[0],
        losses=dict(zip(map(str, study.embedder.seeds), data.losses, strict=True)),
        preps=data.preps,
        card=data.cards[0],
        unseen=data.get("unseen"),
        unseen_finetune=data.get("unseen_finetune"),
    )
    tables = [data.catalogue[0], data.latent_map, data.reconstruction[0], data.interpolation[0]]
    tables += [data.latent_optimization[0], data.novelty[0], data.retrieval[0], data.preps]
    tables += [path for path in (files.unseen, files.unseen_finetune) if path]
    artefacts = [*tables, *data.embedders, *data.images]
    run = run_facts(study, snakemake.params.benchmarks, artefacts)
    base = Path(snakemake.output[0]).parent
    page = multiarch_report(files, study.architectures, run, base, about(study))
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(page)

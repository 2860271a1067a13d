"""Compare test networks of one architecture with what comes back, and with the controls."""

from lib.config import Controls, SingleArch
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.evaluate import singlearch
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("single-architecture reconstruction", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(**params.run)
    known, images = (load_split(snakemake.input[split], device) for split in ("train", "test"))
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    name = params.architecture
    train, test = (
        population.load(catalogue, [name], split, images)[name] for split in ("train", "test")
    )
    cfg, controls = (
        SingleArch.model_validate(params.singlearch),
        Controls.model_validate(params.controls),
    )
    task, rows = (
        singlearch.Reconstruction(train, test, known, images, params.seed, controls.band),
        [],
    )
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        embedder = load_embedder(path, device)
        rows += task.decoded_rows(embedder, seed) + task.refined_rows(embedder, seed, cfg)
    rows += task.control_rows(controls, embedder.arm.cfg, cfg)
    with atomic(snakemake.output[0]) as temporary:
        singlearch.table(rows).to_csv(temporary, index=False)

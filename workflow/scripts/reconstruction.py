"""Compare test networks with what comes back from their latents, and with the controls."""

from lib.config import Controls
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.evaluate import reconstruction
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("reconstruction", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(**params.run)
    known, images = (load_split(snakemake.input[split], device) for split in ("train", "test"))
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    train, test = (
        population.load(catalogue, params.architectures, split, images)
        for split in ("train", "test")
    )
    cfg, rows = Controls.model_validate(params.controls), []
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        embedder = load_embedder(path, device)
        rows += reconstruction.decoded_rows(embedder, seed, train, test, images, cfg.band)
    rows += reconstruction.control_rows(
        cfg, params.seed, embedder.arm.cfg, train, test, known, images
    )
    with atomic(snakemake.output[0]) as temporary:
        reconstruction.table(rows).to_csv(temporary, index=False)

"""List all stored networks of a zoo in one table."""

from lib.core.progress import job
from lib.zoo.store import Catalogue

with job(f"catalogue {snakemake.wildcards.zoo}", snakemake.log[0]) as log:
    catalogue = Catalogue.build(snakemake.input, snakemake.params.architectures)
    catalogue.save(snakemake.output[0])
    networks = catalogue.select(status=None)
    diverged = int((networks["status"] != "ok").sum())
    log.info("%d networks, %d of them diverged", len(networks), diverged)
    if checkpoints := len(catalogue.frame) - len(networks):
        log.info("%d intermediate checkpoints", checkpoints)

"""Look for test networks' neighbours among the training networks, in the latent space and out."""

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.evaluate.retrieval import Retrieval, table
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("retrieval", snakemake.log[0]):
    deterministic(**params.run)
    images = load_split(snakemake.input.test, device)
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    train, test = (
        population.load(catalogue, params.architectures, split, images)
        for split in ("train", "test")
    )
    task = Retrieval(train, test, images)
    rows = task.control_rows(params.seed)
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        rows += task.latent_rows(load_embedder(path, device), seed)
    with atomic(snakemake.output[0]) as temporary:
        table(rows).to_csv(temporary, index=False)

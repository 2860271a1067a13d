"""Compare decoded networks with the training networks nearest to them."""

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.evaluate import novelty
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("novelty", snakemake.log[0]):
    deterministic(**params.run)
    validation, images = (
        load_split(snakemake.input[split], device) for split in ("validation", "test")
    )
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    train, test = (
        population.load(catalogue, params.architectures, split, images)
        for split in ("train", "test")
    )
    trained = {name: novelty.Training.of(found, images) for name, found in train.items()}
    rows = novelty.zoo_rows(trained, test, images, params.seed)
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        names = (params.seed, seed)
        rows += novelty.decoded_rows(
            load_embedder(path, device), seed, names, trained, test, images, validation
        )
    with atomic(snakemake.output[0]) as temporary:
        novelty.table(rows).to_csv(temporary, index=False)

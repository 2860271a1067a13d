"""Walk between test networks of one architecture, in the latent space and in the weights."""

import pandas as pd

from lib.config import SingleExploration
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.explore.blends import interpolate
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("interpolation in one architecture", snakemake.log[0]):
    deterministic(**params.run)
    known, images = (load_split(snakemake.input[split], device) for split in ("train", "test"))
    catalogue, name = Catalogue.load(snakemake.input.catalogue[0]), params.architecture
    test = population.load(catalogue, [name], "test", images)[name]
    cfg = SingleExploration.model_validate(params.explore)
    tables = [
        interpolate(
            load_embedder(path, device), seed, ("walks", params.seed), cfg, test, known, images
        )
        for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True)
    ]
    with atomic(snakemake.output[0]) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)

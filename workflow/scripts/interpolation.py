"""Walk between test networks of the two extreme architectures."""

import pandas as pd

from lib.config import Exploration
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.explore.interpolation import interpolate
from lib.zoo import population
from lib.zoo.store import Catalogue

params = snakemake.params
with job("interpolation", snakemake.log[0]):
    deterministic(**params.run)
    images = load_split(snakemake.input.test, params.run["device"])
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    train, test = (
        population.load(catalogue, params.architectures, split, images)
        for split in ("train", "test")
    )
    cfg = Exploration.model_validate(params.explore)
    tables = [
        interpolate(load_embedder(path, params.run["device"]), seed, cfg, train, test, images)
        for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True)
    ]
    with atomic(snakemake.output[0]) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)

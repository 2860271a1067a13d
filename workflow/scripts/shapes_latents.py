"""Map all shapes in two dimensions of the latent space."""

import pandas as pd

from lib.config import Shapes
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.embed import load_embedder
from lib.explore.shapes import latent_map
from lib.zoo import fields
from lib.zoo.store import Catalogue

params = snakemake.params
with job("shape map", snakemake.log[0]):
    deterministic(params.threads)
    family = fields.family_of(Shapes.model_validate(params.shapes))
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    zoo = [fields.load(catalogue, family, split) for split in ("train", "validation", "test")]
    tables = [
        latent_map(load_embedder(path), zoo, seed)
        for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True)
    ]
    with atomic(snakemake.output[0]) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)

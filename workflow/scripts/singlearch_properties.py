"""Predict what is known of networks from their latents, and from their weights."""

import pandas as pd

from lib.config import SingleExploration
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.evaluate.properties import SPLITS, predict
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("property prediction", snakemake.log[0]):
    deterministic(**params.run)
    images = load_split(snakemake.input.test, device)
    catalogue, name = Catalogue.load(snakemake.input.catalogue[0]), params.architecture
    zoo = {split: population.load(catalogue, [name], split, images)[name] for split in SPLITS}
    cfg = SingleExploration.model_validate(params.explore)
    tables = [
        predict(load_embedder(path, device), seed, cfg, zoo, images)
        for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True)
    ]
    with atomic(snakemake.output[0]) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)

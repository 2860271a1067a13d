"""Move test networks along the direction from poor to good ones."""

import pandas as pd

from lib.config import SingleExploration
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.explore.arithmetic import arithmetic
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("task arithmetic", snakemake.log[0]):
    deterministic(**params.run)
    validation, test = (
        load_split(snakemake.input[split], device) for split in ("validation", "test")
    )
    catalogue, name = Catalogue.load(snakemake.input.catalogue[0]), params.architecture
    splits = ("train", "validation", "test")
    zoo = {split: population.load(catalogue, [name], split, test)[name] for split in splits}
    cfg = SingleExploration.model_validate(params.explore)
    tables = [
        arithmetic(
            load_embedder(path, device),
            seed,
            ("arithmetic", params.seed, seed),
            cfg,
            zoo,
            validation,
            test,
        )
        for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True)
    ]
    with atomic(snakemake.output[0]) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)

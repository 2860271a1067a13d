"""Draw networks from the latent space of one architecture, train them on, compare them."""

import pandas as pd

from lib.config import SingleExploration, Training
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.engine.training import Engine
from lib.explore.sampling import compared, draw, sampled
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("sampling", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(**params.run)
    splits = ("train", "validation", "test")
    train, validation, test = (load_split(snakemake.input[split], device) for split in splits)
    catalogue, name = Catalogue.load(snakemake.input.catalogue[0]), params.architecture
    zoo = {split: population.load(catalogue, [name], split, train)[name] for split in splits}
    cfg = SingleExploration.model_validate(params.explore)
    training, engine = Training.model_validate(params.training), Engine(**params.engine)
    tables = {"sampling": [], "novelty": []}
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        embedder, names = load_embedder(path, device), ("sampling", params.seed, seed)
        drawn = draw(embedder, names, cfg, zoo, validation)
        found = sampled(drawn, seed, names, cfg, training, train, test, zoo["train"], engine)
        tables["sampling"].append(found)
        tables["novelty"].append(compared(embedder, seed, drawn, zoo, test))
    for key, found in tables.items():
        with atomic(snakemake.output[key]) as temporary:
            pd.concat(found).to_csv(temporary, index=False)

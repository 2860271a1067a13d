"""Encode all networks, map them in two dimensions and keep PReps before and after."""

import pandas as pd

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.core.tensors import save_file
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.explore import latents
from lib.zoo import population
from lib.zoo.store import Catalogue

params = snakemake.params
with job("latents", snakemake.log[0]):
    deterministic(**params.run)
    images = load_split(snakemake.input.train, params.run["device"])
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    zoo = {
        split: population.load(catalogue, params.architectures, split, images)
        for split in ("train", "validation", "test")
    }
    found, maps = {}, []
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        embedder = load_embedder(path, params.run["device"])
        frame, found[f"seed_{seed}"] = latents.encode_all(embedder, list(zoo.values()))
        maps.append(latents.latent_map(embedder, frame, found[f"seed_{seed}"], seed))
        if seed == params.seeds[0]:
            latents.write_preps(snakemake.output.preps, embedder, zoo["test"])
    with atomic(snakemake.output.latents) as temporary:
        save_file(found, temporary)
    with atomic(snakemake.output.map) as temporary:
        pd.concat(maps).to_csv(temporary, index=False)

"""Encode all networks of one architecture and lay them out on a map."""

import pandas as pd
import torch

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.core.tensors import save_file
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.explore.latents import encode_all, performance_map
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("latents of one architecture", snakemake.log[0]):
    deterministic(**params.run)
    images = load_split(snakemake.input.train, device)
    catalogue, names = Catalogue.load(snakemake.input.catalogue[0]), [params.architecture]
    splits = ("train", "validation", "test")
    zoo = [population.load(catalogue, names, split, images) for split in splits]
    tables, tensors = [], {}
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        embedder = load_embedder(path, device)
        frame, latents = encode_all(embedder, zoo)
        tables.append(performance_map(embedder, frame, latents, images, seed))
        tensors[f"seed_{seed}"] = latents.to(torch.float32).cpu().contiguous()
    with atomic(snakemake.output.latents) as temporary:
        save_file(tensors, temporary)
    with atomic(snakemake.output.map) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)

"""Optimise latents towards good networks of every architecture."""

import pandas as pd
from safetensors.torch import load_file

from lib.config import Controls, Exploration
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.explore.optimization import optimize
from lib.zoo import population
from lib.zoo.store import Catalogue

params, device = snakemake.params, snakemake.params.run["device"]
with job("latent optimisation", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(**params.run)
    images = [
        load_split(snakemake.input[split], device) for split in ("train", "validation", "test")
    ]
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    train = population.load(catalogue, params.architectures, "train", images[0])
    teacher = load_file(snakemake.input.teacher[0], device)["train"]
    explore = Exploration.model_validate(params.explore)
    controls = Controls.model_validate(params.controls)
    tables = [
        optimize(
            load_embedder(path, device),
            seed,
            params.seed,
            explore,
            controls,
            train,
            *images,
            teacher,
        )
        for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True)
    ]
    with atomic(snakemake.output[0]) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)

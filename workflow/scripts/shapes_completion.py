"""Complete test shapes from points on a part of their surface."""

import pandas as pd
import torch

from lib.config import Shapes
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job, track
from lib.core.repro import atomic, deterministic
from lib.embed import load_embedder
from lib.evaluate import shapes
from lib.explore.completion import complete, from_scratch, observe
from lib.zoo import fields
from lib.zoo.store import Catalogue

params = snakemake.params
with job("shape completion", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(params.threads)
    cfg = Shapes.model_validate(params.shapes)
    catalogue, family = Catalogue.load(snakemake.input.catalogue[0]), fields.family_of(cfg)
    train, test = (fields.load(catalogue, family, split) for split in ("train", "test"))
    embedder, few = load_embedder(snakemake.input.embedders[0]), slice(cfg.explore.completed)
    originals = shapes.surfaces(snakemake.input.originals, test.frame["shape"][few])
    found = {"decoded": list(shapes.compared(embedder, train, test)["decoded"][few])}
    found |= {"completed": [], "scratch": []}
    for original in track(originals, "shapes"):
        names = ("shapes", params.seed, "completion", original.name)
        seen = observe(original, cfg.explore.partial, names)
        found["completed"].append(complete(embedder, cfg, train, seen))
        found["scratch"].append(from_scratch(cfg, seen, names))
    made = {
        method: list(shapes.meshes(family, torch.stack(flat), cfg.resolution))
        for method, flat in found.items()
    }
    for method, meshes in made.items():
        named = zip((f"{method}_{original.name}" for original in originals), meshes, strict=True)
        shapes.keep(snakemake.output.meshes, dict(named))
    rows = shapes.rows(made, originals, points=cfg.explore.partial)
    with atomic(snakemake.output.table) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)

"""Walk between test shapes, in the latent space and in the weights, as strips of meshes."""

import pandas as pd
import torch

from lib.config import Shapes
from lib.core.progress import job, track
from lib.core.repro import atomic, deterministic
from lib.embed import load_embedder
from lib.evaluate import shapes
from lib.explore.shapes import Known, described, walks
from lib.zoo import fields
from lib.zoo.store import Catalogue

params = snakemake.params
with job("shape interpolation", snakemake.log[0]):
    deterministic(params.threads)
    cfg = Shapes.model_validate(params.shapes)
    catalogue, family = Catalogue.load(snakemake.input.catalogue[0]), fields.family_of(cfg)
    train, test = (fields.load(catalogue, family, split) for split in ("train", "test"))
    known = Known(shapes.surfaces(snakemake.input.originals, train.frame["shape"]))
    embedder = load_embedder(snakemake.input.embedders[0])
    rows, flat = zip(*walks(embedder, cfg.explore, test), strict=True)
    made = list(
        track(shapes.meshes(family, torch.stack(flat), cfg.resolution), "meshes", len(rows))
    )
    for row, mesh in track(list(zip(rows, made, strict=True)), "neighbours"):
        row["mesh"] = f"pair{row['pair']}_{row['method']}_{row['point']:02d}"
        row |= described(mesh, row["mesh"], known)
    names = [row["mesh"] for row in rows]
    shapes.keep(snakemake.output.meshes, dict(zip(names, made, strict=True)))
    with atomic(snakemake.output.table) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)

"""Compare test shapes with what comes back from their latents, and with the controls."""

import pandas as pd

from lib.config import Shapes
from lib.core.progress import job, track
from lib.core.repro import atomic, deterministic
from lib.embed import load_embedder
from lib.evaluate import shapes
from lib.zoo import fields
from lib.zoo.store import Catalogue

params = snakemake.params
with job("shape reconstruction", snakemake.log[0]) as log:
    deterministic(params.threads)
    cfg = Shapes.model_validate(params.shapes)
    catalogue, family = Catalogue.load(snakemake.input.catalogue[0]), fields.family_of(cfg)
    train, test = (fields.load(catalogue, family, split) for split in ("train", "test"))
    names, rows = test.frame["shape"].tolist(), []
    originals = shapes.surfaces(snakemake.input.originals, names)
    for seed, path in zip(params.seeds, snakemake.input.embedders, strict=True):
        embedder = load_embedder(path)
        found = {
            method: list(track(shapes.meshes(family, flat, cfg.resolution), method, len(flat)))
            for method, flat in shapes.compared(embedder, train, test).items()
        }
        columns = {"embedder": embedder.arm.cfg.arm, "seed": seed}
        rows += shapes.rows(found, originals, **columns)
        if seed == params.seeds[0]:
            for method, folder in zip(found, snakemake.output.meshes, strict=True):
                shapes.keep(folder, dict(zip(names, found[method], strict=True)))
    table = pd.DataFrame(rows)
    with atomic(snakemake.output.table) as temporary:
        table.to_csv(temporary, index=False)
    for method, iou in table.groupby("method")["iou"].mean().items():
        log.info("%s: mean IoU %.3f", method, iou)

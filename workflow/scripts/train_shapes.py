"""Train the embedder of the fields of shapes, of one seed; keep its card and its loss curves."""

import torch

from lib.config import Shapes
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic, seed_for
from lib.data.sdf import read_samples
from lib.embed import shapes
from lib.embed.product import Embedder, make_arm
from lib.zoo import fields
from lib.zoo.store import Catalogue

params, seed = snakemake.params, int(snakemake.wildcards.seed)
with job(f"shape embedder seed {seed}", snakemake.log[0]), Checkpoint.of(snakemake) as checkpoint:
    cfg = Shapes.model_validate(params.shapes)
    deterministic(cfg.embedder.threads)
    catalogue, family = Catalogue.load(snakemake.input.catalogue[0]), fields.family_of(cfg)
    near, uniform = (
        [read_samples(path) for path in snakemake.input[kind]] for kind in ("near", "uniform")
    )
    train, held_out = (
        fields.with_points(fields.load(catalogue, family, split), near, uniform)
        for split in ("train", "validation")
    )
    names = ("shapes", params.seed, seed)
    torch.manual_seed(seed_for(*names, "init"))
    field = {"widths": cfg.widths, "omega": cfg.omega}
    arm = make_arm(cfg.embedder, [cfg.architecture], (3,), 1, field)
    curves = shapes.train(arm, names, train.first(cfg.trained_on), held_out, cfg, checkpoint)
    card = {"image": [3], "classes": ["distance"], "field": field, "seed": seed}
    Embedder(arm, card).save(snakemake.output.embedder)
    curves.save(snakemake.output.losses)

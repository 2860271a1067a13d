"""Train the embedder of fields, of one seed; keep it with its card and its loss curves."""

from lib.config import FieldSpace, FieldZoo
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic
from lib.core.streams import Stream
from lib.embed.job import train_field_embedder
from lib.zoo.store import Catalogue

params, wildcards = snakemake.params, snakemake.wildcards
space, seed = wildcards.space, int(wildcards.seed)
with (
    job(f"embedder {space} seed {seed}", snakemake.log[0]),
    Checkpoint.of(snakemake) as checkpoint,
):
    cfg = FieldSpace.model_validate(params.space)
    deterministic(cfg.embedder.threads)
    embedder, curves = train_field_embedder(
        cfg,
        FieldZoo.model_validate(params.zoo),
        space=space,
        catalogue=Catalogue.load(snakemake.input.catalogue),
        near=snakemake.input.near,
        uniform=snakemake.input.uniform,
        stream=Stream("space", params.seed, space, "embedder", seed),
        seed=seed,
        checkpoint=checkpoint,
    )
    embedder.save(snakemake.output.embedder)
    curves.save(snakemake.output.losses)

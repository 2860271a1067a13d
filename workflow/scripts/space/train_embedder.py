"""Train the embedder of one seed and keep it with its card and its loss curves."""

from lib.config import Embedding
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic
from lib.core.streams import Stream
from lib.data.images import load_split
from lib.embed.job import train_embedder
from lib.embed.teacher import load_teacher
from lib.zoo.store import Catalogue

params, wildcards = snakemake.params, snakemake.wildcards
space, seed, left_out = wildcards.space, int(wildcards.seed), params.get("left_out", [])
without = f" without {', '.join(left_out)}" if left_out else ""
with (
    job(f"embedder {space} seed {seed}{without}", snakemake.log[0]),
    Checkpoint.of(snakemake) as checkpoint,
):
    cfg = Embedding.model_validate(params.space["embedder"])
    deterministic(cfg.threads, params.device)
    seen = [name for name in params.architectures if name not in left_out]
    embedder, curves = train_embedder(
        cfg,
        space=space,
        zoo=params.space["zoo"],
        # Listed from the files this job was given, so that no other network can be asked for.
        catalogue=Catalogue.build(snakemake.input.shards, seen),
        architectures=params.architectures,
        images=load_split(snakemake.input.train, params.device),
        validation=load_split(snakemake.input.validation, params.device),
        stream=Stream("space", params.seed, space, "embedder", seed, *left_out),
        seed=seed,
        teacher=load_teacher(snakemake.input.get("teacher"), params.device),
        left_out=left_out,
        fresh=params.get("fresh", 0),
        trained_on=params.space["trained_on"],
        checkpoint=checkpoint,
    )
    embedder.save(snakemake.output.embedder)
    curves.save(snakemake.output.losses)

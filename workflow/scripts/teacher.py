"""Compute the teacher's outputs on the training images."""

from lib.config import Teacher
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.core.tensors import save_file
from lib.data.images import load_split
from lib.embed.teacher import teacher_logits
from lib.engine.training import Engine
from lib.zoo.store import Catalogue

params = snakemake.params
with job("teacher", snakemake.log[0]), Checkpoint.of(snakemake) as checkpoint:
    deterministic(**params.run)
    logits = teacher_logits(
        Teacher.model_validate(params.teacher),
        params.seed,
        Catalogue.load(snakemake.input.catalogue[0]),
        params.architectures,
        load_split(snakemake.input.train, params.run["device"]),
        load_split(snakemake.input.validation, params.run["device"]),
        Engine(**params.engine),
        checkpoint,
    )
    with atomic(snakemake.output[0]) as temporary:
        save_file({"train": logits.cpu().contiguous()}, temporary)

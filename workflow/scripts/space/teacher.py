"""Compute the teacher's outputs on the training images."""

from lib.config import Teacher
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.core.streams import Stream
from lib.core.tensors import save_file
from lib.data.images import load_split
from lib.embed.teacher import teacher_logits
from lib.engine.training import Engine
from lib.zoo.store import Catalogue

params, space = snakemake.params, snakemake.wildcards.space
with job(f"teacher {space}", snakemake.log[0]), Checkpoint.of(snakemake) as checkpoint:
    deterministic(**params.run)
    device = params.run["device"]
    logits = teacher_logits(
        Teacher.model_validate(params.teacher),
        space=space,
        zoo=params.zoo,
        catalogue=Catalogue.load(snakemake.input.catalogue),
        architectures=params.architectures,
        images=load_split(snakemake.input.train, device),
        validation=load_split(snakemake.input.validation, device),
        stream=Stream("space", params.seed, space, "teacher"),
        engine=Engine(**params.engine),
        checkpoint=checkpoint,
    )
    with atomic(snakemake.output[0]) as temporary:
        save_file({"train": logits.cpu().contiguous()}, temporary)

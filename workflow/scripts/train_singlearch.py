"""Train the embedder of one architecture, of one seed; keep its card and its loss curves."""

import torch

from lib.config import SingleArch
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic, seed_for
from lib.data.images import load_split
from lib.embed import singlearch
from lib.embed.product import Embedder, card_of, make_arm
from lib.zoo import population
from lib.zoo.store import Catalogue

params, seed = snakemake.params, int(snakemake.wildcards.seed)
with (
    job(f"single-architecture embedder seed {seed}", snakemake.log[0]),
    Checkpoint.of(snakemake) as checkpoint,
):
    single, name = SingleArch.model_validate(params.singlearch), params.architecture
    cfg = single.embedder
    deterministic(cfg.threads, params.device)
    images = load_split(snakemake.input.train, params.device)
    validation = load_split(snakemake.input.validation, params.device)
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    train, held_out = (
        population.load(catalogue, [name], split, images)[name] for split in ("train", "validation")
    )
    train = train.first(single.trained_on)
    names = ("singlearch", params.seed, seed)
    torch.manual_seed(seed_for(*names, "init"))
    image = tuple(images.x.shape[1:])
    arm = make_arm(cfg, [name], image, len(images.classes)).to(params.device)
    curves = singlearch.train(
        arm, names, train.flat, train.scores, held_out.flat, images, validation, checkpoint
    )
    Embedder(arm.cpu(), card_of(images, seed)).save(snakemake.output.embedder)
    curves.save(snakemake.output.losses)

"""Train the embedder of one seed and keep it with its card and its loss curves."""

import torch
from safetensors.torch import load_file

from lib.config import Embedding
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import deterministic, seed_for
from lib.data.images import load_split
from lib.embed import multiarch
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder, card_of, make_arm
from lib.zoo import population
from lib.zoo.store import Catalogue

params, seed = snakemake.params, int(snakemake.wildcards.seed)
left_out = params.get("left_out", [])
without = f" without {', '.join(left_out)}" if left_out else ""
with (
    job(f"embedder seed {seed}{without}", snakemake.log[0]),
    Checkpoint.of(snakemake) as checkpoint,
):
    cfg = Embedding.model_validate(params.embedder)
    deterministic(cfg.threads, params.device)
    images = load_split(snakemake.input.train, params.device)
    validation = load_split(snakemake.input.validation, params.device)
    seen = [name for name in params.architectures if name not in left_out]
    # Listed from the files this job was given, so that no other network can be asked for.
    catalogue = Catalogue.build(snakemake.input.shards, seen)
    zoo = {
        split: population.load(catalogue, seen, split, images) for split in ("train", "validation")
    }
    names = ("embedder", params.seed, seed, *left_out)
    fresh = {
        name: fresh_networks(name, images, params.fresh, (*names, "fresh", name), calibrated=True)
        for name in left_out
    }
    torch.manual_seed(seed_for(*names, "init"))
    image = tuple(images.x.shape[1:])
    arm = make_arm(cfg, params.architectures, image, len(images.classes)).to(params.device)
    networks, held_out = (population.flats(zoo[split]) for split in ("train", "validation"))
    scores = {name: found.scores for name, found in zoo["train"].items()}
    teacher = load_file(snakemake.input.teacher[0], params.device)["train"]
    curves = multiarch.train(
        arm, names, networks, scores, held_out, images, validation, teacher, fresh, checkpoint
    )
    card = card_of(images, seed) | {"unseen": left_out}
    Embedder(arm.cpu(), card).save(snakemake.output.embedder)
    curves.save(snakemake.output.losses)

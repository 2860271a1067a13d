"""Score one variant of the space of one architecture on networks of every split."""

from lib.config import SingleArch
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.evaluate import single_ablation
from lib.zoo import population
from lib.zoo.store import Catalogue

params, seed = snakemake.params, int(snakemake.wildcards.seed)
variant, device = snakemake.wildcards.variant, params.run["device"]
with job(f"scores {variant} {seed}", snakemake.log[0]), Checkpoint.of(snakemake):
    deterministic(**params.run)
    images = {split: load_split(snakemake.input[split], device) for split in single_ablation.SPLITS}
    catalogue, name = Catalogue.load(snakemake.input.catalogue[0]), params.architecture
    zoo = {
        split: population.load(catalogue, [name], split, images["train"])[name]
        for split in single_ablation.SPLITS
    }
    cfg = SingleArch.model_validate(params.singlearch)
    embedder = load_embedder(snakemake.input.embedder, device)
    found = single_ablation.scores(
        embedder, variant, seed, cfg, zoo, images, params.seed, params.band
    )
    with atomic(snakemake.output[0]) as temporary:
        found.to_csv(temporary, index=False)

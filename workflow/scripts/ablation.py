"""Score one variant of the embedder on networks of every split."""

from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.evaluate import ablation
from lib.zoo import population
from lib.zoo.store import Catalogue

params, seed = snakemake.params, int(snakemake.wildcards.seed)
variant, device = snakemake.wildcards.variant, params.run["device"]
with job(f"ablation {variant} {seed}", snakemake.log[0]):
    deterministic(**params.run)
    validation, test = (
        load_split(snakemake.input[split], device) for split in ("validation", "test")
    )
    catalogue = Catalogue.load(snakemake.input.catalogue[0])
    zoo = {
        split: population.load(catalogue, params.architectures, split, test)
        for split in ablation.SPLITS
    }
    embedder = load_embedder(snakemake.input.embedder, device)
    found = ablation.scores(embedder, variant, seed, zoo, validation, test, params.band)
    with atomic(snakemake.output[0]) as temporary:
        found.to_csv(temporary, index=False)

"""Score one variant of the space of shapes on shapes of every split."""

from lib.config import Shapes
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.sdf import read_samples
from lib.embed import load_embedder
from lib.evaluate.shape_ablation import SPLITS, scores
from lib.zoo import fields
from lib.zoo.store import Catalogue

params, seed = snakemake.params, int(snakemake.wildcards.seed)
variant = snakemake.wildcards.variant
with job(f"scores {variant} {seed}", snakemake.log[0]) as log:
    deterministic(params.threads)
    cfg = Shapes.model_validate(params.shapes)
    catalogue, family = Catalogue.load(snakemake.input.catalogue[0]), fields.family_of(cfg)
    zoo = {split: fields.load(catalogue, family, split) for split in SPLITS}
    zoo["train"] = zoo["train"].first(cfg.trained_on)
    near, uniform = (
        [read_samples(path) for path in snakemake.input[kind]] for kind in ("near", "uniform")
    )
    count = len(zoo["test"].flat)
    at = {split: fields.with_points(zoo[split].first(count), near, uniform) for split in SPLITS}
    found = scores(load_embedder(snakemake.input.embedder), variant, seed, cfg, zoo, at)
    means = found[found["split"] == "test"].groupby("method")["iou"].mean()
    log.info("mean IoU of test shapes %s", means.round(3).to_dict())
    with atomic(snakemake.output[0]) as temporary:
        found.to_csv(temporary, index=False)

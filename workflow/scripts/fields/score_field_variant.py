"""Score one variant of a space of fields on shapes of every split."""

from lib.config import FieldSpace, FieldZoo
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.sdf import read_samples
from lib.embed import load_embedder
from lib.experiments.fields.variants import scores
from lib.experiments.files import fields_of
from lib.zoo import fields

params, wildcards = snakemake.params, snakemake.wildcards
seed, variant = int(wildcards.seed), wildcards.variant
with job(f"scores {wildcards.space} {variant} {seed}", snakemake.log[0]) as log:
    deterministic(**params.run)
    cfg, data = FieldSpace.model_validate(params.space), snakemake.input
    zoo = fields_of(data, FieldZoo.model_validate(params.zoo), cfg.zoo)
    zoo["train"] = zoo["train"].first(cfg.trained_on)
    near, uniform = ([read_samples(path) for path in data[kind]] for kind in ("near", "uniform"))
    few = len(zoo["test"].flat)
    at = {split: fields.with_points(zoo[split].first(few), near, uniform) for split in zoo}
    table = scores(load_embedder(data.embedder), cfg, zoo, at, variant=variant, seed=seed)
    means = table[table["split"] == "test"].groupby("method")["iou"].mean()
    log.info("mean IoU of test shapes %s", means.round(3).to_dict())
    with atomic(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False)

"""Store the fields of one trained shard, with how well each fits its shape."""

from lib.config import FieldZoo
from lib.core.progress import job
from lib.core.repro import deterministic, versions
from lib.data.sdf import read_samples
from lib.engine.training.shard import load_raw
from lib.zoo import fields
from lib.zoo.store import write_shard

params, wildcards = snakemake.params, snakemake.wildcards
with job(f"field weights {wildcards.zoo} {wildcards.shard}", snakemake.log[0]) as log:
    deterministic(1)
    cfg = FieldZoo.model_validate(params.zoo)
    samples, uniform = (read_samples(snakemake.input[kind]) for kind in ("near", "uniform"))
    trained = load_raw(snakemake.input.states, snakemake.input.columns)
    provenance = {"init": cfg.init, "training": params.zoo["training"], "versions": versions()}
    shard = fields.extract(cfg, trained, samples, uniform, provenance)
    write_shard(snakemake.output[0], shard)
    found = shard.instances[["mse", "sign_accuracy", "iou"]].mean()
    log.info("mean MSE %.2e, sign accuracy %.3f, IoU %.3f", *found)

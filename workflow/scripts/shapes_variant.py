"""Score one variant of the space of shapes on the test shapes."""

from lib import fields
from lib.config import Shapes
from lib.data.sdf import read_samples
from lib.embed import load_embedder
from lib.evaluate.shape_ablation import scores
from lib.progress import job
from lib.repro import atomic, deterministic
from lib.store import Catalogue

params = snakemake.params
with job(f"scores {snakemake.wildcards.variant}", snakemake.log[0]) as log:
    deterministic(params.threads)
    cfg = Shapes.model_validate(params.shapes)
    catalogue, space = Catalogue.load(snakemake.input.catalogue[0]), fields.space_of(cfg)
    train, test = (fields.load(catalogue, space, split) for split in ("train", "test"))
    near, uniform = (
        [read_samples(path) for path in snakemake.input[kind]] for kind in ("near", "uniform")
    )
    known = train.first(cfg.trained_on)
    embedder = load_embedder(snakemake.input.embedder)
    found = scores(embedder, known, test, fields.with_points(test, near, uniform))
    log.info("mean IoU %s", found.groupby("method")["iou"].mean().round(3).to_dict())
    with atomic(snakemake.output[0]) as temporary:
        found.to_csv(temporary, index=False)

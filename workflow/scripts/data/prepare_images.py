"""Read, split and store the images of some data."""

from lib.config import Images
from lib.core.progress import job
from lib.core.streams import Stream
from lib.data.images import prepare

params, data = snakemake.params, snakemake.wildcards.data
with job(f"images {data}", snakemake.log[0]):
    stream = Stream("data", params.seed, data)
    cfg, out = Images.model_validate(params.images), dict(snakemake.output.items())
    prepare(cfg, stream, out, f"data.{data}")

"""Read, split and store the images of the study."""

from lib.config import Images
from lib.core.progress import job
from lib.data.images import prepare

with job("images", snakemake.log[0]):
    params = snakemake.params
    prepare(Images.model_validate(params.images), params.seed, dict(snakemake.output.items()))

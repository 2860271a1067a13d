"""The small study that the tests disturb, and what they look at in its results."""

import json
import os

from lib.report.digests import content_digest

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "4"))  # four for each study
# The whole study where there is time for it, otherwise as far as what an embedder is used for.
PART = ("multiarch/latents.safetensors", "multiarch/retrieval.csv")
TARGETS = ("multiarch_report.html",) if ROUNDS > 4 else PART
SETTINGS = (
    "--config",
    "zoos={digits: {architectures: [LeNetLike, ResNet8], shard_size: 6}}",
    "spaces={multiarch: {experiments: {unseen: null, unseen_finetune: null}}}",
)
SMALL = (*(f"results/tiny/{name}" for name in TARGETS), *SETTINGS)
BY_OTHERS = ("logs", "benchmarks")  # written by Snakemake and by logging, line by line


def files(place):
    """The files of a study's results, by their path in it, without logs and measured times."""
    found = {path.relative_to(place.results): path for path in place.results.rglob("*")}
    return {
        path.as_posix(): file
        for path, file in found.items()
        if file.is_file() and path.parts[0] not in BY_OTHERS
    }


def digest(path):
    """What a file holds, but for facts about the run; an error if it is not whole."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    return content_digest(path)


def hidden(place):
    """The temporary files that are there."""
    return [path.name for path in place.results.rglob(".*")]

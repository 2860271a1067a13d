"""What all rules share: the checked study, where its files lie, what its jobs ask for."""

import os
import re
from functools import cache

from lib import nets
from lib.config import parse_memory
from lib.core import lifeline
from lib.core.atomic import check_folder
from lib.core.checkpoint import clear
from lib.core.errors import InputError
from lib.core.repro import code_hash
from lib.data.images import check_source as check_images
from lib.data.images import recognised
from lib.data.shapes import check as check_shapes
from lib.report.assets import assets
from lib.study import study_of
from lib.zoo.exchange.opening import zoo_files
from lib.zoo.extract import shard_ranges
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# Threads that wait for each other by spinning keep busy cores from those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Scripts take this checkout's `lib`, whatever is installed.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIB, os.getenv("PYTHONPATH")])))
lifeline.announce()


def check_data(cfg, where):
    """See that the source of some data is there, before any work; say what is recognised in it."""
    if cfg.kind == "shapes":
        check_shapes(cfg.source, where)
        return
    check_images(cfg, where)
    # An archive would have to be unpacked for it: the job that reads it says so in its log.
    look = workflow.is_main_process and cfg.path and Path(cfg.path).is_dir()
    for line in recognised(cfg) if look else ():
        logger.info(f"{where}: {line}")


try:
    STUDY = study_of(config, workflow.config_settings)
    check_folder(".snakemake")
    check_folder(STUDY.results)
    for name in STUDY.data_made:
        check_data(STUDY.data[name], f"data.{name}")
except InputError as error:
    raise WorkflowError(str(error))

# Every job asks for it, and it is as the code was when the workflow was read.
code_hash = cache(code_hash)

RESULTS = Path(STUDY.results)
DATA, ZOOS, SPACES = STUDY.data, STUDY.zoos, STUDY.spaces
SPLITS = ["train", "validation", "test"]
RUN = {"device": STUDY.device, "threads": STUDY.threads}


def of_kind(entries, kind):
    """The names of the entries of the config that are of a kind."""
    return [name for name, entry in entries.items() if entry.kind == kind]


def one_of(names):
    """The wildcard constraint that lets these through, and nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    data=one_of(DATA),
    zoo=one_of(ZOOS),
    space=one_of(SPACES),
    architecture=r"\w+",
    shard=r"\d+",
    seed=r"\d+",


# Megabytes that Snakemake itself takes in a job on a cluster.
BESIDE = 1000


def asked(megabytes):
    """What a job asks of a cluster; tried again, it asks for twice as much."""
    return {
        "mem_mb": lambda wildcards, attempt: attempt * megabytes,
        "runtime": lambda wildcards, attempt: attempt * STUDY.jobs.runtime,
    }


GPU = {"gpu": 1} | STUDY.jobs.on_gpu if STUDY.device == "cuda" else {}
ON_CPU = asked(parse_memory(STUDY.jobs.memory) // 10**6)
ON_DEVICE = ON_CPU | GPU

# What computes a training step; keys that the chosen kernels do not use re-run nothing.
ENGINE_KEYS = {"compiled": {"kernels"}, "vmap": {"kernels", "width", "precision"}}


def block(model, **keys):
    """A block of the study as plain values: what a rule names here, and only that, re-runs it.

    `include` or `exclude` names some of its keys; what was left out is at its default in the job.
    """
    return model.model_dump(mode="json", **keys)


ENGINE = block(STUDY.engine, include=ENGINE_KEYS[STUDY.engine.kernels])


def images(data):
    """The prepared images of some data, by split."""
    return {split: RESULTS / f"data/{data}/{split}.h5" for split in SPLITS}


def images_of(wildcards):
    """The images that the networks of a zoo, or of a space, tell apart."""
    zoo = wildcards.get("zoo") or SPACES[wildcards.space].zoo
    return images(ZOOS[zoo].data)


@cache
def instances(zoo, architecture):
    """The instances of each shard, by the shard's number in file names."""
    cfg = ZOOS[zoo]
    total = (cfg.of(architecture) if cfg.kind == "classifiers" else cfg.instances).total
    ranges = shard_ranges(total, cfg.shard_size)
    return {f"{k:03d}": [numbers.start, numbers.stop] for k, numbers in enumerate(ranges)}


def shards(zoo, architectures):
    """The weight shards of some architectures of a zoo."""
    return [
        RESULTS / f"zoos/{zoo}/{architecture}/shard_{shard}.h5"
        for architecture in architectures
        for shard in instances(zoo, architecture)
    ]


def net_modules(architectures):
    """The Python modules that define architectures, fields among them."""
    return [nets.module_of(name) for name in architectures]


def embedder(space, seed, folder="embedder"):
    """The files of a trained embedder."""
    path = RESULTS / f"{space}/{folder}/seed_{seed}"
    return {
        "embedder": path / "embedder.safetensors",
        "card": path / "embedder.safetensors.json",
        "losses": path / "losses.csv",
    }


def embedders(space, part="embedder"):
    """A file of each seed's embedder of a space."""
    return [embedder(space, seed)[part] for seed in SPACES[space].embedder.seeds]


def networks(wildcards):
    """What every experiment in a space is given: its networks and its embedders."""
    cfg = SPACES[wildcards.space]
    architectures = getattr(cfg, "architectures", None) or ZOOS[cfg.zoo].architectures
    return {
        "catalogue": RESULTS / f"zoos/{cfg.zoo}/catalogue.csv",
        "shards": shards(cfg.zoo, architectures),
        "embedders": embedders(wildcards.space),
    }


def tables(space):
    """The tables of a space, by name; those of its zoo with them."""
    cfg = SPACES[space]
    zoo = RESULTS / "zoos" / cfg.zoo
    found = {"catalogue": zoo / "catalogue.csv"}
    if cfg.kind == "fields":
        found |= {"shapes": zoo / "shapes.csv", "left_out": zoo / "left_out.csv"}
    names = ("latent_map", *cfg.experiments.names())
    return found | {name: RESULTS / space / f"{name}.csv" for name in names}


def failures(logs):
    """What a failed run ends with: each failed step, its log and the last lines of it."""
    # `\s`, as `snakemake --lint` takes the word with a space for the beginning of one.
    errors = (
        r"(?:Command '.*' (.+)\n\[.*\]\n)?"
        r"Error in rule\s(\w+):\n(?:    .*\n)*?    log: (.+?) \(check log"
    )
    text, failed = "".join(Path(log).read_text() for log in logs), {}
    for end, rule, file in re.findall(errors, text):
        lines = Path(file).read_text().splitlines()[-8:] if Path(file).is_file() else []
        killed = re.search(r"SIGKILL|status 137", end)
        how = "was killed, most often because memory ran out" if killed else "failed"
        log = f"its log, {file}, " + ("ends with" if lines else "is empty, so see above")
        failed[file] = [f"\n{rule} {how}; {log}", *(f"    {line}" for line in lines)]
    kept = "\nWhat is finished is kept: the same command goes on from there."
    return "\n".join([*sum(failed.values(), []), kept])


def targets():
    """What a plain run makes: the page of each chosen space, and the digest of everything."""
    pages = [RESULTS / f"{space}_report.html" for space in STUDY.made]
    return [*pages, RESULTS / "report.html", RESULTS / "digests.json"]

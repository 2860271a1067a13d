"""What all rules share: the checked study, its paths and its shards."""

import os
import re
from functools import cache

from lib.core import lifeline
from lib.core.atomic import check_folder
from lib.core.checkpoint import clear
from lib.config import parse_memory
from lib.data.images import check_source
from lib.data.shapes import PROCEDURAL
from lib.data.shapes import check as check_shapes
from lib.embed.arm import find_arm
from lib.core.errors import InputError
from lib.zoo.exchange.network import zoo_files
from lib.report.assets import assets
from lib.core.repro import code_hash
from lib.study import parse_study
from lib.zoo.extract import shard_ranges
from snakemake.exceptions import WorkflowError

# Threads that wait for each other by spinning keep busy cores from those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Scripts take this checkout's `lib`, whatever is installed.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIB, os.getenv("PYTHONPATH")])))
lifeline.announce()

try:
    STUDY = parse_study(config)
    check_folder(".snakemake")
    check_folder(STUDY.results)
    check_source(STUDY.images)
    check_shapes(STUDY.shapes.source)
    IMPORTED = {name: zoo_files(path) for name, path in STUDY.zoo.imported.items()}
except InputError as error:
    raise WorkflowError(str(error))

# Every job asks for it, and it is as the code was when the workflow was read.
code_hash = cache(code_hash)

RESULTS = Path(STUDY.results)
ARCHITECTURES = list(STUDY.architectures)
SEEDS = list(STUDY.embedder.seeds)
SPLITS = ["train", "validation", "test"]
IMAGES = {split: RESULTS / f"images/{split}.h5" for split in SPLITS}


wildcard_constraints:
    architecture="|".join(ARCHITECTURES),
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


def block(model, **keys):
    """A block of the study as plain values: what a rule names here, and only that, re-runs it.

    `include` or `exclude` names some of its keys; what was left out is at its default in the job.
    """
    return model.model_dump(mode="json", **keys)


def trained_as(model, keys):
    """Some keys of a block that holds a block `embedder`: all that one of its seeds depends on."""
    return block(model, include=keys, exclude={"embedder": {"seeds"}})


@cache
def instances(architecture):
    """The instances of each shard of an architecture, by the shard's number in file names."""
    return numbered(STUDY.zoo.of(architecture).total, STUDY.zoo.shard_size)


def numbered(total, size):
    """The instances of each shard, by the shard's number in file names."""
    ranges = shard_ranges(total, size)
    return {f"{k:03d}": [numbers.start, numbers.stop] for k, numbers in enumerate(ranges)}


def one_of(architectures):
    """The wildcard constraint that lets these through, and nothing where there are none."""
    return "|".join(architectures) or "(?!)"


def shards(architectures):
    """The weight shards of some architectures."""
    return [
        RESULTS / f"weights/{architecture}/shard_{shard}.h5"
        for architecture in architectures
        for shard in instances(architecture)
    ]


def embedders():
    """The trained embedders, one for each seed."""
    return [RESULTS / f"multiarch/embedder/seed_{seed}/embedder.safetensors" for seed in SEEDS]


def trained_by(arm, *modules):
    """The digest of the code that trains an embedder with this arm: these modules, and its own."""
    return code_hash(*modules, "lib.embed.product", find_arm(arm).__module__)


def embedder_code(arm):
    """The digest of the code that trains an embedder of several architectures."""
    modules = map(nets.module_of, ARCHITECTURES)
    return trained_by(arm, "lib.embed.multiarch", "lib.zoo.population", *modules)


def singlearch_code(arm):
    """The digest of the code that trains an embedder of one architecture."""
    net = nets.module_of(SINGLE.architecture)
    return trained_by(arm, "lib.embed.singlearch", "lib.zoo.population", net)


def shapes_code(arm):
    """The digest of the code that trains an embedder of fields."""
    return trained_by(arm, "lib.embed.shapes", "lib.zoo.fields", nets.field_module_of(FIELD))


def seen(wildcards):
    """The architectures that an embedder is trained on."""
    return [name for name in ARCHITECTURES if name not in LEFT_OUT[wildcards.left_out]]


def without(file):
    """A file of every embedder that is trained without some architectures."""
    return expand(file, left_out=LEFT_OUT, seed=STUDY.unseen.seeds)


def by_variant(output, embedders):
    """A file of every seed of each variant, from the variants' blocks `embedder`."""
    return {
        name: expand(output, variant=name, seed=embedder.seeds)
        for name, embedder in embedders.items()
    }


def asked_for(files, where):
    """The files of all variants; the config's block `where` has to hold some."""
    if not files:
        raise WorkflowError(f"the config has no {where}; config/*ablations.yaml show some")
    return [path for paths in files.values() for path in paths]


def reports():
    """The report of each part of the study."""
    return [RESULTS / f"{part}_report.html" for part in STUDY.parts]


def failures(logs):
    """What a failed run ends with: each failed step, its log and the last lines of it."""
    # `\s`, as `snakemake --lint` takes the word with a space for the beginning of one.
    errors = (
        r"(?:Command '.*' (.+)\n\[.*\]\n)?"
        r"Error in rule\s(\w+):\n(?:    .*\n)*?    log: (.+?) \(check log"
    )
    text, told = "".join(Path(log).read_text() for log in logs), {}
    for end, rule, file in re.findall(errors, text):
        lines = Path(file).read_text().splitlines()[-8:] if Path(file).is_file() else []
        killed = re.search(r"SIGKILL|status 137", end)
        how = "was killed, most often because memory ran out" if killed else "failed"
        log = f"its log, {file}, " + ("ends with" if lines else "is empty, so see above")
        told[file] = [f"\n{rule} {how}; {log}", *(f"    {line}" for line in lines)]
    kept = "\nWhat is finished is kept: the same command goes on from there."
    return "\n".join([*sum(told.values(), []), kept])


def targets():
    """What the study makes: the reports, and the digest of everything."""
    return [*reports(), RESULTS / "report.html", RESULTS / "digests.json"]

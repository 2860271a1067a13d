import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

ROOT = Path(workflow.current_basedir)
LIB = str(ROOT / "workflow")
sys.path.insert(0, LIB)


configfile: ROOT / "config" / "config.yaml"


include: "rules/common.smk"
include: "rules/given.smk"
include: "rules/data.smk"
include: "rules/zoo.smk"
include: "rules/space.smk"
include: "rules/experiments.smk"
include: "rules/fields.smk"
include: "rules/variants.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        targets(),
    localrule: True


onsuccess:
    clear(RESULTS / "logs")


onerror:
    print(failures(log), file=sys.stderr)

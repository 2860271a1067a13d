import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

ROOT = Path(workflow.current_basedir)
LIB = str(ROOT / "workflow")
sys.path.insert(0, LIB)


configfile: ROOT / "config" / "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/zoo.smk"
include: "rules/weights.smk"
include: "rules/embed.smk"
include: "rules/explore.smk"
include: "rules/evaluate.smk"
include: "rules/unseen.smk"
include: "rules/shapes.smk"
include: "rules/shapes_ablate.smk"
include: "rules/ablate.smk"
include: "rules/singlearch.smk"
include: "rules/singlearch_ablate.smk"
include: "rules/singlearch_explore.smk"
include: "rules/shapes_report.smk"
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

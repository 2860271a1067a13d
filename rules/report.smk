"""The pages that people read, and the digests of everything the study made.

Output: {space}_report.html, report.html, digests.json.
"""


def shown(wildcards):
    """All files that the page of a space is made of."""
    space, cfg = wildcards.space, SPACES[wildcards.space]
    found = {
        **tables(space),
        "losses": embedders(space, "losses"),
        "card": embedders(space, "card")[0],
        "embedders": embedders(space),
    }
    if cfg.kind == "fields":
        return found | {"scenes": RESULTS / space / "scenes.json"}
    images = list(images_of(wildcards).values())
    return found | {"preps": RESULTS / space / "preps.h5", "images": images}


rule space_report:
    input:
        unpack(shown),
        assets=assets(),
    output:
        report(
            RESULTS / "{space}_report.html",
            caption="../workflow/report/space_report.rst",
            category="Reports",
        ),
    log:
        RESULTS / "logs/{space}/report.log",
    conda:
        "../envs/report.yaml"
    resources:
        **ON_CPU,
    params:
        study=lambda wildcards: STUDY.of(wildcards.space),
        tables=lambda wildcards: list(tables(wildcards.space)),
        benchmarks=lambda wildcards: [
            RESULTS / "benchmarks" / folder
            for folder in (wildcards.space, f"zoos/{SPACES[wildcards.space].zoo}")
        ],
        code=code_hash("lib.report.report", "lib.report.run"),
    message:
        "Report: the space {wildcards.space}"
    script:
        "../workflow/scripts/report/space_report.py"


rule index:
    input:
        pages=[RESULTS / f"{space}_report.html" for space in STUDY.made],
        assets=assets(),
    output:
        report(RESULTS / "report.html", caption="../workflow/report/index.rst", category="Reports"),
    log:
        RESULTS / "logs/index.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        code=code_hash("lib.report.page"),
    message:
        "Report: the page that opens onto the others"
    script:
        "../workflow/scripts/report/index.py"


# What of an embedder has a digest.
EMBEDDER = ("embedder.safetensors", "losses.csv")


def made(space):
    """What of a space has a digest."""
    cfg = SPACES[space]
    found = [*tables(space).values(), *embedders(space), *embedders(space, "losses")]
    if cfg.kind == "classifiers":
        found += [RESULTS / space / name for name in ("latents.safetensors", "preps.h5")]
        if any("teacher" in ClassifierExperiments.block(n).needs for n in cfg.experiments.names()):
            found.append(RESULTS / space / "teacher.safetensors")
        if cfg.experiments.unseen:
            found += [path.with_name(name) for path in without(space) for name in EMBEDDER]
    return [*found, RESULTS / f"{space}_report.html"]


USED = {SPACES[space].zoo for space in STUDY.made}


rule digests:
    input:
        images=[
            path
            for data in sorted({ZOOS[zoo].data for zoo in USED})
            if DATA[data].kind == "images"
            for path in images(data).values()
        ],
        shards=[shards(zoo, ZOOS[zoo].architectures) for zoo in sorted(USED)],
        files=[made(space) for space in STUDY.made],
        index=rules.index.output,
    output:
        RESULTS / "digests.json",
    log:
        RESULTS / "logs/digests.log",
    conda:
        "../envs/report.yaml"
    resources:
        **ON_CPU,
    params:
        root=RESULTS,
        code=code_hash("lib.report.digests"),
    message:
        "Digests of everything made"
    script:
        "../workflow/scripts/report/digests.py"

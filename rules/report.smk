"""The pages that people read, and the digests of everything the study made.

Output: {space}_report.html, report.html, digests.json.
"""


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

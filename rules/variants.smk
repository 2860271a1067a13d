"""Variants of spaces on the same zoo, and tables of what comes out for documents; on request only.

Output: {space}/variants/{variant}/seed_*/{embedder.safetensors,losses.csv,scores.csv},
{space}/variants.{csv,html,md}, {space}/figures/*.svg, {space}/unseen.md.
"""


use rule train_embedder as variant_embedder with:
    input:
        unpack(lambda wildcards: training_files(wildcards, variant(wildcards))),
    output:
        **embedder("{space}", "{seed}", VARIANT),
    log:
        RESULTS / "logs/{space}/variants/{variant}/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/{space}/variants/{variant}/seed_{seed}.tsv"
    wildcard_constraints:
        space=one_of(CLASSIFIER_SPACES),
        variant=r"\w+",
    threads: lambda wildcards: variant(wildcards).embedder.threads
    params:
        space=lambda wildcards: trained_as(variant(wildcards)),
        architectures=lambda wildcards: list(variant(wildcards).architectures),
        seed=STUDY.seed,
        device=STUDY.device,
        code=lambda wildcards: trained_by(
            variant(wildcards), net_modules(variant(wildcards).architectures)
        ),
    message:
        "Space {wildcards.space}: training {wildcards.variant}, seed {wildcards.seed}"


use rule train_field_embedder as variant_field_embedder with:
    output:
        **embedder("{space}", "{seed}", VARIANT),
    log:
        RESULTS / "logs/{space}/variants/{variant}/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/{space}/variants/{variant}/seed_{seed}.tsv"
    wildcard_constraints:
        space=one_of(FIELD_SPACES),
        variant=r"\w+",
    threads: lambda wildcards: variant(wildcards).embedder.threads
    params:
        space=lambda wildcards: trained_as(variant(wildcards)),
        zoo=field_of,
        seed=STUDY.seed,
        code=lambda wildcards: trained_by(variant(wildcards), [field_module(wildcards)]),
    message:
        "Space {wildcards.space}: training {wildcards.variant}, seed {wildcards.seed}"


rule score_variant:
    input:
        unpack(images_of),
        catalogue=lambda wildcards: networks(wildcards)["catalogue"],
        shards=lambda wildcards: networks(wildcards)["shards"],
        embedders=[rules.variant_embedder.output.embedder],
    output:
        RESULTS / SCORES,
    log:
        RESULTS / "logs/{space}/variants/{variant}/scores_{seed}.log",
    wildcard_constraints:
        space=one_of(CLASSIFIER_SPACES),
        variant=r"\w+",
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        settings=lambda wildcards: block(variant(wildcards).experiments.reconstruction),
        told=lambda wildcards: {"controls": block(variant(wildcards).controls)},
        trained_on=lambda wildcards: variant(wildcards).trained_on,
        zoo=lambda wildcards: SPACES[wildcards.space].zoo,
        architectures=lambda wildcards: list(variant(wildcards).architectures),
        seeds=lambda wildcards: [int(wildcards.seed)],
        seed=STUDY.seed,
        run=RUN,
        code=code_hash("lib.experiments.variants"),
    message:
        "Space {wildcards.space}: scoring {wildcards.variant}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/space/score_variant.py"


rule score_field_variant:
    input:
        catalogue=lambda wildcards: networks(wildcards)["catalogue"],
        shards=lambda wildcards: networks(wildcards)["shards"],
        near=rules.train_field_embedder.input.near,
        uniform=rules.train_field_embedder.input.uniform,
        embedder=rules.variant_field_embedder.output.embedder,
    output:
        RESULTS / SCORES,
    log:
        RESULTS / "logs/{space}/variants/{variant}/scores_{seed}.log",
    wildcard_constraints:
        space=one_of(FIELD_SPACES),
        variant=r"\w+",
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        space=lambda wildcards: block(variant(wildcards), include={"zoo", "trained_on", "warp"}),
        zoo=field_of,
        run=RUN,
        code=code_hash("lib.experiments.fields.variants"),
    message:
        "Space {wildcards.space}: scoring {wildcards.variant}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/fields/score_field_variant.py"


rule variants:
    input:
        lambda wildcards: sum(each_variant(wildcards.space, SCORES).values(), []),
    output:
        RESULTS / "{space}/variants.csv",
    log:
        RESULTS / "logs/{space}/variants.log",
    localrule: True
    conda:
        "../envs/mesh.yaml"
    params:
        kind=lambda wildcards: SPACES[wildcards.space].kind,
        code=code_hash("lib.experiments.variants", "lib.experiments.fields.variants"),
    message:
        "Space {wildcards.space}: the table of variants"
    script:
        "../workflow/scripts/report/variants.py"


rule variants_page:
    input:
        unpack(distilled),
        variants=rules.variants.output,
        assets=assets(),
    output:
        page=RESULTS / "{space}/variants.html",
        table=RESULTS / "{space}/variants.md",
        figures=directory(RESULTS / "{space}/figures"),
    log:
        RESULTS / "logs/{space}/variants_page.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        study=lambda wildcards: STUDY.of(wildcards.space, variants=True),
        benchmarks=lambda wildcards: each_variant(wildcards.space, TIMES),
        code=code_hash("lib.report.report", "lib.report.run"),
    message:
        "Space {wildcards.space}: the page of variants"
    script:
        "../workflow/scripts/report/variants_page.py"


rule unseen_table:
    input:
        unseen=RESULTS / "{space}/unseen.csv",
        finetune=RESULTS / "{space}/unseen_finetune.csv",
    output:
        RESULTS / "{space}/unseen.md",
    log:
        RESULTS / "logs/{space}/unseen_table.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        code=code_hash("lib.report.sections.unseen"),
    message:
        "Space {wildcards.space}: architectures never seen, as a table for documents"
    script:
        "../workflow/scripts/report/unseen_table.py"


rule all_variants:
    input:
        [RESULTS / f"{space}/variants.html" for space in SPACES if VARIANTS[space]],
    localrule: True

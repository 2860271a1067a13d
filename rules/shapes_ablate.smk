"""Variants of the space of shapes on the study's zoo; made on request only.

Output: shapes/ablations/*/seed_*/{embedder.safetensors,losses.csv,scores.csv},
shapes/ablations.{csv,html,md}, shapes/figures/*.svg.
"""

SHAPE_VARIANTS = {name: SHAPES.variant(name) for name in SHAPES.ablations}
SHAPE_VARIANT = "shapes/ablations/{variant}/seed_{seed}"


use rule shapes_embedder as shapes_variant_embedder with:
    output:
        embedder=RESULTS / SHAPE_VARIANT / "embedder.safetensors",
        card=RESULTS / SHAPE_VARIANT / "embedder.safetensors.json",
        losses=RESULTS / SHAPE_VARIANT / "losses.csv",
    log:
        RESULTS / "logs" / SHAPE_VARIANT / "train.log",
    benchmark:
        RESULTS / "benchmarks" / f"{SHAPE_VARIANT}.tsv"
    wildcard_constraints:
        variant=one_of(SHAPE_VARIANTS),
    threads: lambda wildcards: SHAPE_VARIANTS[wildcards.variant].embedder.threads
    params:
        shapes=lambda wildcards: trained_as(SHAPE_VARIANTS[wildcards.variant], SPACE_KEYS),
        seed=STUDY.seed,
        code=lambda wildcards: shapes_code(SHAPE_VARIANTS[wildcards.variant].embedder.arm),
    message:
        "Shapes: training {wildcards.variant}, seed {wildcards.seed}"


rule shapes_variant:
    input:
        catalogue=rules.shapes_catalogue.output,
        shards=rules.shapes_catalogue.input,
        near=rules.shapes_embedder.input.near,
        uniform=rules.shapes_embedder.input.uniform,
        embedder=rules.shapes_variant_embedder.output.embedder,
    output:
        RESULTS / SHAPE_VARIANT / "scores.csv",
    log:
        RESULTS / "logs" / SHAPE_VARIANT / "scores.log",
    wildcard_constraints:
        variant=one_of(SHAPE_VARIANTS),
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        shapes=lambda wildcards: block(
            SHAPE_VARIANTS[wildcards.variant],
            include={"architecture", "widths", "omega", "trained_on", "warp"},
        ),
        threads=STUDY.threads,
        code=code_hash("lib.evaluate.shape_ablation"),
    message:
        "Shapes: scoring {wildcards.variant}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/shapes_variant.py"


SHAPE_SCORES = by_variant(
    rules.shapes_variant.output, {name: cfg.embedder for name, cfg in SHAPE_VARIANTS.items()}
)


rule shapes_variants:
    input:
        lambda _: asked_for(SHAPE_SCORES, "shapes.ablations"),
    output:
        RESULTS / "shapes/ablations.csv",
    log:
        RESULTS / "logs/shapes/ablations.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        code=code_hash("lib.evaluate.variants"),
    message:
        "Shapes: the table of variants"
    script:
        "../workflow/scripts/shapes_variants.py"


rule shapes_ablations:
    input:
        ablations=rules.shapes_variants.output,
        assets=assets(),
    output:
        page=RESULTS / "shapes/ablations.html",
        table=RESULTS / "shapes/ablations.md",
        figures=directory(RESULTS / "shapes/figures"),
    log:
        RESULTS / "logs/shapes/ablations_page.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        part="shapes",
        study=block(STUDY),
        benchmarks=by_variant(
            RESULTS / "benchmarks" / f"{SHAPE_VARIANT}.tsv",
            {name: cfg.embedder for name, cfg in SHAPE_VARIANTS.items()},
        ),
        times=RESULTS / "benchmarks/shapes/ablations",
        code=code_hash("lib.report.shape_variants", "lib.report.run"),
    message:
        "Shapes: the page of variants"
    script:
        "../workflow/scripts/variants_page.py"

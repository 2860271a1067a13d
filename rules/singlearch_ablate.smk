"""Variants of the space of one architecture on the study's zoo; made on request only.

Output: singlearch/ablations/*/seed_*/{embedder.safetensors,losses.csv,scores.csv},
singlearch/ablations.{csv,html,md}, singlearch/figures/*.svg.
"""

SINGLE_VARIANTS = {name: SINGLE.variant(name) for name in SINGLE.ablations}
SINGLE_VARIANT = "singlearch/ablations/{variant}/seed_{seed}"


use rule singlearch_embedder as singlearch_variant_embedder with:
    output:
        embedder=RESULTS / SINGLE_VARIANT / "embedder.safetensors",
        card=RESULTS / SINGLE_VARIANT / "embedder.safetensors.json",
        losses=RESULTS / SINGLE_VARIANT / "losses.csv",
    log:
        RESULTS / "logs" / SINGLE_VARIANT / "train.log",
    benchmark:
        RESULTS / "benchmarks" / f"{SINGLE_VARIANT}.tsv"
    wildcard_constraints:
        variant=one_of(SINGLE_VARIANTS),
    threads: lambda wildcards: SINGLE_VARIANTS[wildcards.variant].embedder.threads
    params:
        singlearch=lambda wildcards: trained_as(
            SINGLE_VARIANTS[wildcards.variant], {"embedder", "trained_on"}
        ),
        architecture=SINGLE.architecture,
        seed=STUDY.seed,
        device=STUDY.device,
        code=lambda wildcards: singlearch_code(SINGLE_VARIANTS[wildcards.variant].embedder.arm),
    message:
        "Single-architecture space: training {wildcards.variant}, seed {wildcards.seed}"


rule singlearch_variant:
    input:
        **IMAGES,
        catalogue=rules.singlearch_catalogue.output,
        shards=rules.singlearch_catalogue.input,
        embedder=rules.singlearch_variant_embedder.output.embedder,
    output:
        RESULTS / SINGLE_VARIANT / "scores.csv",
    log:
        RESULTS / "logs" / SINGLE_VARIANT / "scores.log",
    wildcard_constraints:
        variant=one_of(SINGLE_VARIANTS),
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        singlearch=lambda wildcards: block(
            SINGLE_VARIANTS[wildcards.variant],
            include={"trained_on", "refine_steps", "refine_rate", "refine_batch"},
        ),
        architecture=SINGLE.architecture,
        band=STUDY.controls.band,
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.evaluate.single_ablation"),
    message:
        "Single-architecture space: scoring {wildcards.variant}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/singlearch_variant.py"


SINGLE_SCORES = by_variant(
    rules.singlearch_variant.output, {name: cfg.embedder for name, cfg in SINGLE_VARIANTS.items()}
)


rule singlearch_variants:
    input:
        lambda _: asked_for(SINGLE_SCORES, "singlearch.ablations"),
    output:
        RESULTS / "singlearch/ablations.csv",
    log:
        RESULTS / "logs/singlearch/ablations.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        code=code_hash("lib.evaluate.variants"),
    message:
        "Single-architecture space: the table of variants"
    script:
        "../workflow/scripts/singlearch_variants.py"


rule singlearch_ablations:
    input:
        ablations=rules.singlearch_variants.output,
        reconstruction=rules.singlearch_reconstruction.output,
        assets=assets(),
    output:
        page=RESULTS / "singlearch/ablations.html",
        table=RESULTS / "singlearch/ablations.md",
        figures=directory(RESULTS / "singlearch/figures"),
    log:
        RESULTS / "logs/singlearch/ablations_page.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        part="singlearch",
        study=block(STUDY),
        benchmarks=by_variant(
            RESULTS / "benchmarks" / f"{SINGLE_VARIANT}.tsv",
            {name: cfg.embedder for name, cfg in SINGLE_VARIANTS.items()},
        ),
        times=RESULTS / "benchmarks/singlearch/ablations",
        code=code_hash("lib.report.single_variants", "lib.report.run"),
    message:
        "Single-architecture space: the page of variants"
    script:
        "../workflow/scripts/variants_page.py"

"""Variants of the embedder, trained and compared on the study's zoo, and tables of what comes out
for documents; made on request only.

Output: ablations/*/seed_*/{embedder.safetensors,losses.csv,scores.csv}, ablations/ablations.{csv,md},
ablations/unseen.md.
"""

VARIANTS = {name: STUDY.variant(name) for name in STUDY.ablations}
VARIANT = "ablations/{variant}/seed_{seed}"


use rule train_embedder as ablation_embedder with:
    output:
        embedder=RESULTS / VARIANT / "embedder.safetensors",
        card=RESULTS / VARIANT / "embedder.safetensors.json",
        losses=RESULTS / VARIANT / "losses.csv",
    log:
        RESULTS / "logs" / VARIANT / "train.log",
    benchmark:
        RESULTS / "benchmarks" / f"{VARIANT}.tsv"
    wildcard_constraints:
        variant=one_of(VARIANTS),
    threads: lambda wildcards: VARIANTS[wildcards.variant].threads
    params:
        embedder=lambda wildcards: block(VARIANTS[wildcards.variant], exclude={"seeds"}),
        architectures=ARCHITECTURES,
        seed=STUDY.seed,
        device=STUDY.device,
        code=lambda wildcards: embedder_code(VARIANTS[wildcards.variant].arm),
    message:
        "Ablation: training {wildcards.variant}, seed {wildcards.seed}"


rule ablation:
    input:
        catalogue=rules.catalogue.output,
        shards=shards(ARCHITECTURES),
        validation=IMAGES["validation"],
        test=IMAGES["test"],
        embedder=rules.ablation_embedder.output.embedder,
    output:
        RESULTS / VARIANT / "scores.csv",
    log:
        RESULTS / "logs" / VARIANT / "scores.log",
    wildcard_constraints:
        variant=one_of(VARIANTS),
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        architectures=ARCHITECTURES,
        band=STUDY.controls.band,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.evaluate.ablation"),
    message:
        "Ablation: scoring {wildcards.variant}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/ablation.py"


SCORES = by_variant(rules.ablation.output, VARIANTS)


rule ablations:
    input:
        lambda _: asked_for(SCORES, "ablations"),
    output:
        table=RESULTS / "ablations/ablations.csv",
        page=RESULTS / "ablations/ablations.md",
    log:
        RESULTS / "logs/ablations.log",
    localrule: True
    conda:
        "../envs/torch.yaml"
    params:
        benchmarks=by_variant(RESULTS / "benchmarks" / f"{VARIANT}.tsv", VARIANTS),
        code=code_hash("lib.evaluate.ablation"),
    message:
        "Ablations: the table"
    script:
        "../workflow/scripts/ablations.py"


rule unseen_page:
    input:
        table=rules.unseen.output.table,
        finetune=rules.unseen.output.finetune,
    output:
        RESULTS / "ablations/unseen.md",
    log:
        RESULTS / "logs/unseen_page.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        code=code_hash("lib.report.unseen"),
    message:
        "Ablations: architectures never seen, the table"
    script:
        "../workflow/scripts/unseen_page.py"

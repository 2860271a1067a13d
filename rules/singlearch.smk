"""The space of one architecture: its performance zoo, its embedder, what comes back of it.

Output: singlearch/zoo/{architecture}/shard_*.{safetensors,csv}, singlearch/weights/catalogue.csv,
singlearch/weights/{architecture}/shard_*.h5, singlearch/reconstruction.csv,
singlearch/embedder/seed_*/{embedder.safetensors,losses.csv}; on request singlearch/ablations.csv.
"""

SINGLE = STUDY.singlearch
SINGLE_SEEDS = list(SINGLE.embedder.seeds)
SINGLE_SHARDS = numbered(SINGLE.instances.total, SINGLE.shard_size)
SINGLE_ZOO = "singlearch/zoo/{architecture}/shard_{shard}"
SINGLE_WEIGHTS = "singlearch/weights/{architecture}/shard_{shard}.h5"


use rule train_shard as singlearch_shard with:
    output:
        states=RESULTS / f"{SINGLE_ZOO}.safetensors",
        columns=RESULTS / f"{SINGLE_ZOO}.csv",
    log:
        RESULTS / "logs/singlearch/train_shard/{architecture}_{shard}.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/train_shard/{architecture}_{shard}.tsv"
    wildcard_constraints:
        architecture=SINGLE.architecture,
    params:
        training=block(SINGLE.training),
        engine=ENGINE,
        instances=lambda wildcards: SINGLE_SHARDS[wildcards.shard],
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.training.shard", nets.module_of(SINGLE.architecture)),
    message:
        "Performance zoo: training {wildcards.architecture}, shard {wildcards.shard}"


use rule extract_shard as singlearch_weights with:
    input:
        states=rules.singlearch_shard.output.states,
        columns=rules.singlearch_shard.output.columns,
        images=IMAGES["train"],
    output:
        RESULTS / SINGLE_WEIGHTS,
    log:
        RESULTS / "logs/singlearch/extract_shard/{architecture}_{shard}.log",
    wildcard_constraints:
        architecture=SINGLE.architecture,
    params:
        instances=block(SINGLE.instances, exclude={"train"}),
        training=block(SINGLE.training),
        code=code_hash("lib.zoo", nets.module_of(SINGLE.architecture)),
    message:
        "Performance zoo: extracting {wildcards.architecture}, shard {wildcards.shard}"


use rule catalogue as singlearch_catalogue with:
    input:
        expand(
            rules.singlearch_weights.output,
            architecture=SINGLE.architecture,
            shard=SINGLE_SHARDS,
        ),
    output:
        RESULTS / "singlearch/weights/catalogue.csv",
    log:
        RESULTS / "logs/singlearch/catalogue.log",
    params:
        architectures=[SINGLE.architecture],
        code=code_hash("lib.store"),
    message:
        "Performance zoo: listing all networks"


rule singlearch_embedder:
    input:
        catalogue=rules.singlearch_catalogue.output,
        shards=rules.singlearch_catalogue.input,
        train=IMAGES["train"],
        validation=IMAGES["validation"],
    output:
        embedder=RESULTS / "singlearch/embedder/seed_{seed}/embedder.safetensors",
        card=RESULTS / "singlearch/embedder/seed_{seed}/embedder.safetensors.json",
        losses=RESULTS / "singlearch/embedder/seed_{seed}/losses.csv",
    log:
        RESULTS / "logs/singlearch/embedder/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/embedder/seed_{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SINGLE.embedder.threads
    params:
        singlearch=trained_as(SINGLE, {"embedder", "trained_on"}),
        architecture=SINGLE.architecture,
        seed=STUDY.seed,
        device=STUDY.device,
        code=singlearch_code(SINGLE.embedder.arm),
    message:
        "Single-architecture embedder: training, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_singlearch.py"


SINGLE_NETWORKS = {
    "catalogue": rules.singlearch_catalogue.output,
    "shards": rules.singlearch_catalogue.input,
    "embedders": expand(rules.singlearch_embedder.output.embedder, seed=SINGLE_SEEDS),
}


rule singlearch_reconstruction:
    input:
        **SINGLE_NETWORKS,
        train=IMAGES["train"],
        test=IMAGES["test"],
    output:
        RESULTS / "singlearch/reconstruction.csv",
    log:
        RESULTS / "logs/singlearch/reconstruction.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/reconstruction.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    params:
        singlearch=block(SINGLE, include={"refine_steps", "refine_rate", "refine_batch"}),
        controls=block(STUDY.controls, include={"noise", "distill_rate", "band"}),
        architecture=SINGLE.architecture,
        seeds=SINGLE_SEEDS,
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.evaluate.singlearch"),
    message:
        "Single-architecture space: test networks and controls"
    script:
        "../workflow/scripts/singlearch_reconstruction.py"


# Variants of the space on the same zoo, made on request only (`snakemake singlearch_ablations`).
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


rule singlearch_ablations:
    input:
        lambda _: asked_for(SINGLE_SCORES, "singlearch.ablations"),
    output:
        RESULTS / "singlearch/ablations.csv",
    log:
        RESULTS / "logs/singlearch/ablations.log",
    conda:
        "../envs/torch.yaml"
    params:
        code=code_hash("lib.evaluate.single_ablation"),
    message:
        "Single-architecture space: the table of variants"
    script:
        "../workflow/scripts/singlearch_ablations.py"

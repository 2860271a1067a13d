"""The space of one architecture: its performance zoo, its embedder, what comes back of it.

Output: singlearch/zoo/{architecture}/shard_*.{safetensors,csv}, singlearch/weights/catalogue.csv,
singlearch/weights/{architecture}/shard_*.h5, singlearch/reconstruction.csv,
singlearch/embedder/seed_*/{embedder.safetensors,losses.csv}.
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
        code=code_hash("lib.engine.training.shard", nets.module_of(SINGLE.architecture)),
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
        code=code_hash("lib.zoo.extract", nets.module_of(SINGLE.architecture)),
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
        code=code_hash("lib.zoo.store"),
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
    resources:
        **ON_DEVICE,
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
    resources:
        **ON_DEVICE,
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

"""Zoo generation: each job trains the instances of one shard together.

Input: training and validation images. Output: zoo/{architecture}/shard_*.{safetensors,csv}, the
networks as they were trained.
"""

from lib import nets

# What computes a training step; keys that the chosen kernels do not use re-run nothing.
ENGINE_KEYS = {"compiled": {"kernels"}, "vmap": {"kernels", "width", "precision"}}
ENGINE = block(STUDY.zoo, include=ENGINE_KEYS[STUDY.zoo.kernels])
# A job plans by it how many networks train at once, and fails before it starts where they do not
# fit: into the GPU's memory, or into that of the job.
PLAN_MB = parse_memory(STUDY.zoo.max_memory) // 10**6
TRAINING = ON_DEVICE if GPU else asked(PLAN_MB + BESIDE)


rule train_shard:
    input:
        train=IMAGES["train"],
        validation=IMAGES["validation"],
    output:
        states=RESULTS / "zoo/{architecture}/shard_{shard}.safetensors",
        columns=RESULTS / "zoo/{architecture}/shard_{shard}.csv",
    log:
        RESULTS / "logs/train_shard/{architecture}_{shard}.log",
    benchmark:
        RESULTS / "benchmarks/train_shard/{architecture}_{shard}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **TRAINING,
        plan_mb=PLAN_MB,
    params:
        training=block(STUDY.zoo.training),
        engine=ENGINE,
        instances=lambda wildcards: instances(wildcards.architecture)[wildcards.shard],
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=lambda wildcards: code_hash(
            "lib.engine.training.shard", nets.module_of(wildcards.architecture)
        ),
    message:
        "Zoo: training {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/train_shard.py"

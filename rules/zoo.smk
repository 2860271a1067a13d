"""Zoo generation: each job trains the instances of one shard together.

Input: training and validation images. Output: zoo/{architecture}/shard_*.{safetensors,csv}, the
networks as they were trained.
"""

from lib import nets


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
    params:
        training=block(STUDY.zoo.training),
        width=STUDY.zoo.width,
        instances=lambda wildcards: instances(wildcards.architecture)[wildcards.shard],
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=lambda wildcards: code_hash("lib.zoo", nets.module_of(wildcards.architecture)),
    message:
        "Zoo: training {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/train_shard.py"

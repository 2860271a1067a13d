"""Weight extraction: batch norm fused, one HDF5 shard for each trained shard, and the catalogue.

Output: weights/{architecture}/shard_*.h5 (workflow/lib/FORMAT.md) and weights/catalogue.csv.
"""


rule extract_shard:
    input:
        states=RESULTS / "zoo/{architecture}/shard_{shard}.safetensors",
        columns=RESULTS / "zoo/{architecture}/shard_{shard}.csv",
        images=IMAGES["train"],
    output:
        RESULTS / "weights/{architecture}/shard_{shard}.h5",
    log:
        RESULTS / "logs/extract_shard/{architecture}_{shard}.log",
    conda:
        "../envs/torch.yaml"
    params:
        instances=lambda wildcards: block(STUDY.zoo.of(wildcards.architecture), exclude={"train"}),
        training=block(STUDY.zoo.training),
        code=lambda wildcards: code_hash("lib.zoo", nets.module_of(wildcards.architecture)),
    message:
        "Weights: extracting {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/extract_shard.py"


rule catalogue:
    input:
        shards(ARCHITECTURES),
    output:
        RESULTS / "weights/catalogue.csv",
    log:
        RESULTS / "logs/catalogue.log",
    conda:
        "../envs/torch.yaml"
    params:
        architectures=ARCHITECTURES,
        code=code_hash("lib.store"),
    message:
        "Weights: listing all networks"
    script:
        "../workflow/scripts/catalogue.py"

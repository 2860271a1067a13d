"""Weight extraction: batch norm fused, one HDF5 shard for each trained shard, and the catalogue.

Architectures of `zoo.imported` are not trained; their shards are taken from the zoo named there.

Output: weights/{architecture}/shard_*.h5 (workflow/lib/zoo/store/FORMAT.md) and weights/catalogue.csv.
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
    wildcard_constraints:
        architecture=one_of(name for name in ARCHITECTURES if name not in IMPORTED),
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        instances=lambda wildcards: block(STUDY.zoo.of(wildcards.architecture), exclude={"train"}),
        training=block(STUDY.zoo.training),
        code=lambda wildcards: code_hash("lib.zoo.extract", nets.module_of(wildcards.architecture)),
    message:
        "Weights: extracting {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/extract_shard.py"


rule adopt_shard:
    input:
        zoo=lambda wildcards: IMPORTED[wildcards.architecture],
        validation=IMAGES["validation"],
    output:
        RESULTS / "weights/{architecture}/shard_{shard}.h5",
    log:
        RESULTS / "logs/adopt_shard/{architecture}_{shard}.log",
    wildcard_constraints:
        architecture=one_of(IMPORTED),
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        zoo=lambda wildcards: STUDY.zoo.imported[wildcards.architecture],
        counts=lambda wildcards: block(STUDY.zoo.of(wildcards.architecture)),
        instances=lambda wildcards: instances(wildcards.architecture)[wildcards.shard],
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=lambda wildcards: code_hash(
            "lib.zoo.exchange.adopt", nets.module_of(wildcards.architecture)
        ),
    message:
        "Weights: taking {wildcards.architecture}, shard {wildcards.shard}, from {params.zoo}"
    script:
        "../workflow/scripts/adopt_shard.py"


rule catalogue:
    input:
        shards(ARCHITECTURES),
    output:
        RESULTS / "weights/catalogue.csv",
    log:
        RESULTS / "logs/catalogue.log",
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        architectures=ARCHITECTURES,
        code=code_hash("lib.zoo.store"),
    message:
        "Weights: listing all networks"
    script:
        "../workflow/scripts/catalogue.py"

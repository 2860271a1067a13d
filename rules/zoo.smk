"""Zoos: networks trained or taken over shard by shard, their weights extracted, all of them listed.

Output: zoos/{zoo}/{architecture}/raw_*.{safetensors,csv}, networks as they were trained;
zoos/{zoo}/{architecture}/shard_*.h5, their weights with batch norm fused
(workflow/lib/zoo/store/FORMAT.md); zoos/{zoo}/catalogue.csv.
"""

# A job plans by it how many networks train at once, and fails before it starts where they do not
# fit: into the GPU's memory, or into that of the job.
PLAN_MB = parse_memory(STUDY.engine.max_memory) // 10**6
TRAINING = ON_DEVICE if GPU else asked(PLAN_MB + BESIDE)
TRAINED = members(lambda zoo, name: not zoo.source_of(name))
TAKEN = members(lambda zoo, name: zoo.source_of(name))


rule preflight:
    input:
        images=lambda wildcards: images_of(wildcards)["train"],
    output:
        RESULTS / "zoos/{zoo}/{architecture}/preflight.json",
    log:
        RESULTS / "logs/zoos/{zoo}/preflight/{architecture}.log",
    wildcard_constraints:
        zoo=TRAINED,
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        kernels=STUDY.engine.kernels,
        code=lambda wildcards: code_hash(
            "lib.engine.preflight", nets.module_of(wildcards.architecture)
        ),
    message:
        "Zoo {wildcards.zoo}: trying out {wildcards.architecture}"
    script:
        "../workflow/scripts/zoo/preflight.py"


rule train_shard:
    input:
        unpack(lambda wildcards: {k: images_of(wildcards)[k] for k in ("train", "validation")}),
        preflight=rules.preflight.output,
    output:
        states=RESULTS / "zoos/{zoo}/{architecture}/raw_{shard}.safetensors",
        columns=RESULTS / "zoos/{zoo}/{architecture}/raw_{shard}.csv",
    log:
        RESULTS / "logs/zoos/{zoo}/train_shard/{architecture}_{shard}.log",
    benchmark:
        RESULTS / "benchmarks/zoos/{zoo}/train_shard/{architecture}_{shard}.tsv"
    wildcard_constraints:
        zoo=TRAINED,
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **TRAINING,
        plan_mb=PLAN_MB,
    params:
        training=lambda wildcards: block(ZOOS[wildcards.zoo].training),
        engine=ENGINE,
        instances=lambda wildcards: instances(wildcards.zoo, wildcards.architecture)[
            wildcards.shard
        ],
        seed=STUDY.seed,
        run=RUN,
        code=lambda wildcards: code_hash(
            "lib.engine.training.shard", nets.module_of(wildcards.architecture)
        ),
    message:
        "Zoo {wildcards.zoo}: training {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/zoo/train_shard.py"


rule extract_shard:
    input:
        states=rules.train_shard.output.states,
        columns=rules.train_shard.output.columns,
        images=lambda wildcards: images_of(wildcards)["train"],
    output:
        RESULTS / "zoos/{zoo}/{architecture}/shard_{shard}.h5",
    log:
        RESULTS / "logs/zoos/{zoo}/extract_shard/{architecture}_{shard}.log",
    wildcard_constraints:
        zoo=TRAINED,
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        instances=lambda wildcards: block(
            ZOOS[wildcards.zoo].of(wildcards.architecture), exclude={"train"}
        ),
        training=lambda wildcards: block(ZOOS[wildcards.zoo].training),
        code=lambda wildcards: code_hash("lib.zoo.extract", nets.module_of(wildcards.architecture)),
    message:
        "Zoo {wildcards.zoo}: extracting {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/zoo/extract_shard.py"


rule adopt_shard:
    input:
        zoo=lambda wildcards: zoo_files(ZOOS[wildcards.zoo].source_of(wildcards.architecture)),
        validation=lambda wildcards: images_of(wildcards)["validation"],
    output:
        RESULTS / "zoos/{zoo}/{architecture}/shard_{shard}.h5",
    log:
        RESULTS / "logs/zoos/{zoo}/adopt_shard/{architecture}_{shard}.log",
    wildcard_constraints:
        zoo=TAKEN,
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        zoo=lambda wildcards: ZOOS[wildcards.zoo].source_of(wildcards.architecture),
        counts=lambda wildcards: block(ZOOS[wildcards.zoo].of(wildcards.architecture)),
        instances=lambda wildcards: instances(wildcards.zoo, wildcards.architecture)[
            wildcards.shard
        ],
        run=RUN,
        code=lambda wildcards: code_hash(
            "lib.zoo.exchange.adopt", nets.module_of(wildcards.architecture)
        ),
    message:
        "Zoo {wildcards.zoo}: taking {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/zoo/adopt_shard.py"


rule catalogue:
    input:
        lambda wildcards: shards(wildcards.zoo, ZOOS[wildcards.zoo].architectures),
    output:
        RESULTS / "zoos/{zoo}/catalogue.csv",
    log:
        RESULTS / "logs/zoos/{zoo}/catalogue.log",
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        architectures=lambda wildcards: list(ZOOS[wildcards.zoo].architectures),
        code=code_hash("lib.zoo.store"),
    message:
        "Zoo {wildcards.zoo}: listing all networks"
    script:
        "../workflow/scripts/zoo/catalogue.py"

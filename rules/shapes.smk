"""The space of shapes: meshes, signed distances, the fields trained on them, their embedder.

Output: shapes/source/* (of a folder or archive), shapes/shapes.csv, shapes/samples/*.h5,
shapes/zoo/SIREN/shard_*.{safetensors,csv}, shapes/weights/SIREN/shard_*.h5, shapes/weights/catalogue.csv, shapes/embedder/seed_*/*,
shapes/meshes/*/*.ply, shapes/{latent_map,reconstruction,interpolation,completion,sampling}.csv.
"""

SHAPES = STUDY.shapes
FIELD = SHAPES.architecture
SHAPE_SEEDS = list(SHAPES.embedder.seeds)
SHAPE_SHARDS = numbered(SHAPES.instances.total, SHAPES.shard_size)
# What the fields depend on, and what the space of them does.
FIELD_KEYS = {"architecture", "widths", "omega", "init", "training"}
SPACE_KEYS = {"architecture", "widths", "omega", "embedder", "trained_on", "truncation", "warp"}
MESH_KEYS = {"architecture", "widths", "omega", "resolution"}


rule shapes_source:
    output:
        meshes=directory(RESULTS / "shapes/source"),
    log:
        RESULTS / "logs/shapes/source.log",
    benchmark:
        RESULTS / "benchmarks/shapes/source.tsv"
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        source=SHAPES.source,
        seed=STUDY.seed,
        code=code_hash("lib.data.shapes"),
    message:
        "Shapes: reading {params.source}"
    script:
        "../workflow/scripts/shapes_source.py"


# Where meshes come from, if they are not made here.
SOURCE = {} if SHAPES.source == PROCEDURAL else {"source": rules.shapes_source.output.meshes}


rule shapes_meshes:
    input:
        **SOURCE,
    output:
        meshes=directory(RESULTS / "shapes/meshes/original"),
        table=RESULTS / "shapes/shapes.csv",
        left_out=RESULTS / "shapes/left_out.csv",
    log:
        RESULTS / "logs/shapes/meshes.log",
    benchmark:
        RESULTS / "benchmarks/shapes/meshes.tsv"
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include={"source", "instances"}),
        seed=STUDY.seed,
        code=code_hash("lib.data.shapes", "lib.zoo.fields"),
    message:
        "Shapes: reading or making meshes"
    script:
        "../workflow/scripts/shapes_meshes.py"


rule shapes_samples:
    input:
        **SOURCE,
    output:
        near=RESULTS / "shapes/samples/shard_{shard}.h5",
        uniform=RESULTS / "shapes/samples/uniform_{shard}.h5",
    log:
        RESULTS / "logs/shapes/samples_{shard}.log",
    benchmark:
        RESULTS / "benchmarks/shapes/samples_{shard}.tsv"
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include={"source", "samples", "near", "uniform"}),
        instances=lambda wildcards: SHAPE_SHARDS[wildcards.shard],
        seed=STUDY.seed,
        code=code_hash("lib.data.shapes", "lib.data.sdf"),
    message:
        "Shapes: sampling signed distances, shard {wildcards.shard}"
    script:
        "../workflow/scripts/shapes_samples.py"


rule shapes_fields:
    input:
        near=rules.shapes_samples.output.near,
    output:
        states=RESULTS / "shapes/zoo/{field}/shard_{shard}.safetensors",
        columns=RESULTS / "shapes/zoo/{field}/shard_{shard}.csv",
    log:
        RESULTS / "logs/shapes/fields/{field}_{shard}.log",
    benchmark:
        RESULTS / "benchmarks/shapes/fields/{field}_{shard}.tsv"
    wildcard_constraints:
        field=FIELD,
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include=FIELD_KEYS),
        instances=lambda wildcards: SHAPE_SHARDS[wildcards.shard],
        seed=STUDY.seed,
        code=code_hash("lib.engine.training.fields", nets.field_module_of(FIELD)),
    message:
        "Shapes: training {wildcards.field}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/train_fields.py"


rule shapes_weights:
    input:
        states=rules.shapes_fields.output.states,
        columns=rules.shapes_fields.output.columns,
        near=rules.shapes_samples.output.near,
        uniform=rules.shapes_samples.output.uniform,
    output:
        RESULTS / "shapes/weights/{field}/shard_{shard}.h5",
    log:
        RESULTS / "logs/shapes/weights/{field}_{shard}.log",
    wildcard_constraints:
        field=FIELD,
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include=FIELD_KEYS | {"instances"}, exclude={"instances": {"train"}}),
        code=code_hash("lib.zoo.fields", nets.field_module_of(FIELD)),
    message:
        "Shapes: extracting {wildcards.field}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/extract_fields.py"


use rule catalogue as shapes_catalogue with:
    input:
        expand(rules.shapes_weights.output, field=FIELD, shard=SHAPE_SHARDS),
    output:
        RESULTS / "shapes/weights/catalogue.csv",
    log:
        RESULTS / "logs/shapes/catalogue.log",
    params:
        architectures=[FIELD],
        code=code_hash("lib.zoo.store"),
    message:
        "Shapes: listing all fields"


rule shapes_embedder:
    input:
        catalogue=rules.shapes_catalogue.output,
        shards=rules.shapes_catalogue.input,
        near=expand(rules.shapes_samples.output.near, shard=SHAPE_SHARDS),
        uniform=expand(rules.shapes_samples.output.uniform, shard=SHAPE_SHARDS),
    output:
        embedder=RESULTS / "shapes/embedder/seed_{seed}/embedder.safetensors",
        card=RESULTS / "shapes/embedder/seed_{seed}/embedder.safetensors.json",
        losses=RESULTS / "shapes/embedder/seed_{seed}/losses.csv",
    log:
        RESULTS / "logs/shapes/embedder/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/shapes/embedder/seed_{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SHAPES.embedder.threads
    resources:
        **ON_CPU,
    params:
        shapes=trained_as(SHAPES, SPACE_KEYS),
        seed=STUDY.seed,
        code=shapes_code(SHAPES.embedder.arm),
    message:
        "Shapes: training the embedder, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_shapes.py"


SHAPE_SPACE = {
    "catalogue": rules.shapes_catalogue.output,
    "shards": rules.shapes_catalogue.input,
    "embedders": expand(rules.shapes_embedder.output.embedder, seed=SHAPE_SEEDS),
}


rule shapes_reconstruction:
    input:
        **SHAPE_SPACE,
        originals=rules.shapes_meshes.output.meshes,
    output:
        table=RESULTS / "shapes/reconstruction.csv",
        meshes=[
            directory(RESULTS / "shapes/meshes" / method)
            for method in ("siren", "decoded", "nearest", "mean")
        ],
    log:
        RESULTS / "logs/shapes/reconstruction.log",
    benchmark:
        RESULTS / "benchmarks/shapes/reconstruction.tsv"
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include=MESH_KEYS),
        seeds=SHAPE_SEEDS,
        threads=STUDY.threads,
        code=code_hash("lib.evaluate.shapes"),
    message:
        "Shapes: test shapes as meshes, against their originals"
    script:
        "../workflow/scripts/shapes_reconstruction.py"


rule shapes_latents:
    input:
        **SHAPE_SPACE,
    output:
        RESULTS / "shapes/latent_map.csv",
    log:
        RESULTS / "logs/shapes/latent_map.log",
    benchmark:
        RESULTS / "benchmarks/shapes/latent_map.tsv"
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include={"architecture", "widths", "omega"}),
        seeds=SHAPE_SEEDS,
        threads=STUDY.threads,
        code=code_hash("lib.explore.shapes"),
    message:
        "Shapes: a map of all shapes"
    script:
        "../workflow/scripts/shapes_latents.py"


rule shapes_interpolation:
    input:
        **SHAPE_SPACE,
        originals=rules.shapes_meshes.output.meshes,
    output:
        table=RESULTS / "shapes/interpolation.csv",
        meshes=directory(RESULTS / "shapes/meshes/interpolation"),
    log:
        RESULTS / "logs/shapes/interpolation.log",
    benchmark:
        RESULTS / "benchmarks/shapes/interpolation.tsv"
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include=MESH_KEYS | {"explore"}),
        threads=STUDY.threads,
        code=code_hash("lib.explore.shapes"),
    message:
        "Shapes: walks between test shapes"
    script:
        "../workflow/scripts/shapes_interpolation.py"


rule shapes_sampling:
    input:
        **SHAPE_SPACE,
        originals=rules.shapes_meshes.output.meshes,
    output:
        table=RESULTS / "shapes/sampling.csv",
        meshes=directory(RESULTS / "shapes/meshes/sampling"),
    log:
        RESULTS / "logs/shapes/sampling.log",
    benchmark:
        RESULTS / "benchmarks/shapes/sampling.tsv"
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include=MESH_KEYS | {"explore"}),
        seed=STUDY.seed,
        threads=STUDY.threads,
        code=code_hash("lib.explore.shapes"),
    message:
        "Shapes: new shapes"
    script:
        "../workflow/scripts/shapes_sampling.py"


rule shapes_completion:
    input:
        **SHAPE_SPACE,
        originals=rules.shapes_meshes.output.meshes,
    output:
        table=RESULTS / "shapes/completion.csv",
        meshes=directory(RESULTS / "shapes/meshes/completion"),
    log:
        RESULTS / "logs/shapes/completion.log",
    benchmark:
        RESULTS / "benchmarks/shapes/completion.tsv"
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        shapes=block(SHAPES, include=MESH_KEYS | {"explore", "truncation", "training"}),
        seed=STUDY.seed,
        threads=STUDY.threads,
        code=code_hash("lib.explore.completion"),
    message:
        "Shapes: test shapes from a part of their surface"
    script:
        "../workflow/scripts/shapes_completion.py"

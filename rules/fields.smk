"""Zoos and spaces of fields: meshes, signed distances, the fields trained on them, their space.

Output: zoos/{zoo}/{shapes.csv,left_out.csv,meshes,samples}, zoos/{zoo}/{architecture}/*,
{space}/embedder/seed_*/*, {space}/{latent_map,reconstruction,interpolation,completion,sampling}.csv
with their meshes in {space}/meshes, {space}/scenes.json, what the page shows of them, {space}/walk.png on request.
"""


rule prepare_meshes:
    input:
        unpack(meshes_of),
    output:
        meshes=directory(RESULTS / "zoos/{zoo}/meshes"),
        table=RESULTS / "zoos/{zoo}/shapes.csv",
        left_out=RESULTS / "zoos/{zoo}/left_out.csv",
    log:
        RESULTS / "logs/zoos/{zoo}/prepare_meshes.log",
    benchmark:
        RESULTS / "benchmarks/zoos/{zoo}/prepare_meshes.tsv"
    wildcard_constraints:
        zoo=one_of(FIELD_ZOOS),
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        data=lambda wildcards: ZOOS[wildcards.zoo].data,
        instances=lambda wildcards: block(ZOOS[wildcards.zoo].instances),
        seed=STUDY.seed,
        code=code_hash("lib.data.shapes", "lib.zoo.fields"),
    message:
        "Zoo {wildcards.zoo}: reading or making meshes"
    script:
        "../workflow/scripts/fields/prepare_meshes.py"


rule sample_shapes:
    input:
        unpack(meshes_of),
    output:
        near=RESULTS / "zoos/{zoo}/samples/near_{shard}.h5",
        uniform=RESULTS / "zoos/{zoo}/samples/uniform_{shard}.h5",
    log:
        RESULTS / "logs/zoos/{zoo}/sample_shapes_{shard}.log",
    benchmark:
        RESULTS / "benchmarks/zoos/{zoo}/sample_shapes_{shard}.tsv"
    wildcard_constraints:
        zoo=one_of(FIELD_ZOOS),
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        data=lambda wildcards: ZOOS[wildcards.zoo].data,
        shapes=lambda wildcards: block(
            DATA[ZOOS[wildcards.zoo].data], include={"samples", "near", "uniform"}
        ),
        instances=lambda wildcards: instances(wildcards.zoo, ZOOS[wildcards.zoo].architecture)[
            wildcards.shard
        ],
        seed=STUDY.seed,
        code=code_hash("lib.data.shapes", "lib.data.sdf"),
    message:
        "Zoo {wildcards.zoo}: sampling signed distances, shard {wildcards.shard}"
    script:
        "../workflow/scripts/fields/sample_shapes.py"


rule train_fields:
    input:
        near=rules.sample_shapes.output.near,
    output:
        states=RESULTS / "zoos/{zoo}/{architecture}/raw_{shard}.safetensors",
        columns=RESULTS / "zoos/{zoo}/{architecture}/raw_{shard}.csv",
    log:
        RESULTS / "logs/zoos/{zoo}/train_fields/{architecture}_{shard}.log",
    benchmark:
        RESULTS / "benchmarks/zoos/{zoo}/train_fields/{architecture}_{shard}.tsv"
    wildcard_constraints:
        zoo=one_of(FIELD_ZOOS),
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        zoo=lambda wildcards: block(ZOOS[wildcards.zoo], include=FIELD_TRAINING | {"data"}),
        instances=rules.sample_shapes.params.instances,
        seed=STUDY.seed,
        code=lambda wildcards: code_hash("lib.engine.training.fields", field_module(wildcards)),
    message:
        "Zoo {wildcards.zoo}: training {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/fields/train_fields.py"


rule extract_fields:
    input:
        states=rules.train_fields.output.states,
        columns=rules.train_fields.output.columns,
        near=rules.sample_shapes.output.near,
        uniform=rules.sample_shapes.output.uniform,
    output:
        RESULTS / "zoos/{zoo}/{architecture}/shard_{shard}.h5",
    log:
        RESULTS / "logs/zoos/{zoo}/extract_fields/{architecture}_{shard}.log",
    wildcard_constraints:
        zoo=one_of(FIELD_ZOOS),
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        zoo=lambda wildcards: block(
            ZOOS[wildcards.zoo],
            include=FIELD_TRAINING | {"data", "instances"},
            exclude={"instances": {"train"}},
        ),
        code=lambda wildcards: code_hash("lib.zoo.fields", field_module(wildcards)),
    message:
        "Zoo {wildcards.zoo}: extracting {wildcards.architecture}, shard {wildcards.shard}"
    script:
        "../workflow/scripts/fields/extract_fields.py"


rule train_field_embedder:
    input:
        catalogue=lambda wildcards: of_zoo(wildcards, "catalogue.csv"),
        shards=lambda wildcards: networks(wildcards)["shards"],
        near=lambda wildcards: samples(SPACES[wildcards.space].zoo, "near"),
        uniform=lambda wildcards: samples(SPACES[wildcards.space].zoo, "uniform"),
    output:
        **embedder("{space}", "{seed}"),
    log:
        RESULTS / "logs/{space}/embedder/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/{space}/embedder/seed_{seed}.tsv"
    wildcard_constraints:
        space=one_of(FIELD_SPACES),
    conda:
        "../envs/torch.yaml"
    threads: lambda wildcards: SPACES[wildcards.space].embedder.threads
    resources:
        **ON_CPU,
    params:
        space=lambda wildcards: trained_as(SPACES[wildcards.space]),
        zoo=field_of,
        seed=STUDY.seed,
        code=lambda wildcards: trained_by(SPACES[wildcards.space], [field_module(wildcards)]),
    message:
        "Space {wildcards.space}: training the embedder, seed {wildcards.seed}"
    script:
        "../workflow/scripts/fields/train_field_embedder.py"


rule field_latents:
    input:
        unpack(networks),
    output:
        RESULTS / "{space}/latent_map.csv",
    log:
        RESULTS / "logs/{space}/latents.log",
    benchmark:
        RESULTS / "benchmarks/{space}/latents.tsv"
    wildcard_constraints:
        space=one_of(FIELD_SPACES),
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        space=lambda wildcards: block(SPACES[wildcards.space], include={"zoo"}),
        zoo=field_of,
        seeds=lambda wildcards: list(SPACES[wildcards.space].embedder.seeds),
        seed=STUDY.seed,
        run=RUN,
        code=code_hash("lib.experiments.fields.latents"),
    message:
        "Space {wildcards.space}: a map of all shapes"
    script:
        "../workflow/scripts/fields/field_latents.py"


rule field_experiment:
    input:
        unpack(networks),
        originals=lambda wildcards: of_zoo(wildcards, "meshes"),
    output:
        table=RESULTS / "{space}/{experiment}.csv",
        meshes=directory(RESULTS / "{space}/meshes/{experiment}"),
    log:
        RESULTS / "logs/{space}/{experiment}.log",
    benchmark:
        RESULTS / "benchmarks/{space}/{experiment}.tsv"
    wildcard_constraints:
        space=one_of(FIELD_SPACES),
        experiment=one_of(FieldExperiments.model_fields),
    conda:
        "../envs/mesh.yaml"
    threads: STUDY.threads
    resources:
        **ON_CPU,
    params:
        settings=settings,
        space=lambda wildcards: block(
            SPACES[wildcards.space], include={"zoo", "truncation", "resolution"}
        ),
        zoo=lambda wildcards: field_of(wildcards, {"training"}),
        seeds=lambda wildcards: list(SPACES[wildcards.space].embedder.seeds),
        seed=STUDY.seed,
        run=RUN,
        code=lambda wildcards: code_hash(f"lib.experiments.fields.{wildcards.experiment}"),
    message:
        "Space {wildcards.space}: {wildcards.experiment}"
    script:
        "../workflow/scripts/fields/field_experiment.py"


rule scenes:
    input:
        unpack(lambda wildcards: tables(wildcards.space)),
        originals=lambda wildcards: of_zoo(wildcards, "meshes"),
        meshes=lambda wildcards: [
            RESULTS / f"{wildcards.space}/meshes/{name}"
            for name in SPACES[wildcards.space].experiments.names()
        ],
    output:
        RESULTS / "{space}/scenes.json",
    log:
        RESULTS / "logs/{space}/scenes.log",
    benchmark:
        RESULTS / "benchmarks/{space}/scenes.tsv"
    wildcard_constraints:
        space=one_of(FIELD_SPACES),
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        tables=lambda wildcards: list(tables(wildcards.space)),
        folder=lambda wildcards: RESULTS / f"{wildcards.space}/meshes",
        code=code_hash("lib.report.scenes"),
    message:
        "Space {wildcards.space}: the meshes of its page"
    script:
        "../workflow/scripts/fields/scenes.py"


rule walk_picture:
    input:
        table=RESULTS / "{space}/interpolation.csv",
        meshes=RESULTS / "{space}/meshes/interpolation",
    output:
        RESULTS / "{space}/walk.png",
    log:
        RESULTS / "logs/{space}/walk_picture.log",
    wildcard_constraints:
        space=one_of(FIELD_SPACES),
    localrule: True
    conda:
        "../envs/mesh.yaml"
    params:
        code=code_hash("lib.report.cover"),
    message:
        "Space {wildcards.space}: a walk between two shapes, as a picture"
    script:
        "../workflow/scripts/fields/walk_picture.py"

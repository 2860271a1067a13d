"""Spaces of classifiers: the teacher's outputs, one embedder for each seed, the latents of all.

Output: {space}/teacher.safetensors, {space}/embedder/seed_*/{embedder.safetensors,losses.csv},
{space}/unseen/{left_out}/seed_*/* of architectures never seen,
{space}/{latents.safetensors,latent_map.csv,preps.h5}.
"""


rule teacher:
    input:
        catalogue=lambda wildcards: RESULTS / f"zoos/{teacher_zoo(wildcards.space)}/catalogue.csv",
        shards=lambda wildcards: shards(teacher_zoo(wildcards.space), teacher_of(wildcards)),
        train=lambda wildcards: images_of(wildcards)["train"],
        validation=lambda wildcards: images_of(wildcards)["validation"],
    output:
        RESULTS / "{space}/teacher.safetensors",
    log:
        RESULTS / "logs/{space}/teacher.log",
    benchmark:
        RESULTS / "benchmarks/{space}/teacher.tsv"
    wildcard_constraints:
        space=one_of(CLASSIFIER_SPACES),
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        teacher=lambda wildcards: block(SPACES[wildcards.space].teacher),
        zoo=lambda wildcards: teacher_zoo(wildcards.space),
        architectures=teacher_of,
        seed=STUDY.seed,
        engine=ENGINE,
        run=RUN,
        code=lambda wildcards: code_hash("lib.embed.teacher", *net_modules(teacher_of(wildcards))),
    message:
        "Space {wildcards.space}: the teacher's outputs on the training images"
    script:
        "../workflow/scripts/space/teacher.py"


rule train_embedder:
    input:
        unpack(training_files),
    output:
        **embedder("{space}", "{seed}"),
    log:
        RESULTS / "logs/{space}/embedder/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/{space}/embedder/seed_{seed}.tsv"
    wildcard_constraints:
        space=one_of(CLASSIFIER_SPACES),
    conda:
        "../envs/torch.yaml"
    threads: lambda wildcards: SPACES[wildcards.space].embedder.threads
    resources:
        **ON_DEVICE,
    params:
        space=lambda wildcards: trained_as(SPACES[wildcards.space]),
        architectures=lambda wildcards: list(SPACES[wildcards.space].architectures),
        seed=STUDY.seed,
        device=STUDY.device,
        code=lambda wildcards: trained_by(
            SPACES[wildcards.space], net_modules(SPACES[wildcards.space].architectures)
        ),
    message:
        "Space {wildcards.space}: training the embedder, seed {wildcards.seed}"
    script:
        "../workflow/scripts/space/train_embedder.py"


# The job is given the shards of the seen architectures alone: it cannot read another network.
use rule train_embedder as unseen_embedder with:
    input:
        unpack(
            lambda wildcards: training_files(
                wildcards, left_out=LEFT_OUT[wildcards.space][wildcards.left_out]
            )
        ),
    output:
        **embedder("{space}", "{seed}", "unseen/{left_out}"),
    log:
        RESULTS / "logs/{space}/unseen/{left_out}/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/{space}/unseen/{left_out}/seed_{seed}.tsv"
    wildcard_constraints:
        space=one_of(CLASSIFIER_SPACES),
        left_out=r"[\w+]+",
    params:
        space=lambda wildcards: trained_as(SPACES[wildcards.space]),
        architectures=lambda wildcards: list(SPACES[wildcards.space].architectures),
        left_out=lambda wildcards: LEFT_OUT[wildcards.space][wildcards.left_out],
        fresh=lambda wildcards: SPACES[wildcards.space].experiments.unseen.fresh,
        seed=STUDY.seed,
        device=STUDY.device,
        code=lambda wildcards: trained_by(
            SPACES[wildcards.space], net_modules(SPACES[wildcards.space].architectures)
        ),
    message:
        "Space {wildcards.space}: training without {wildcards.left_out}, seed {wildcards.seed}"


rule latents:
    input:
        unpack(networks),
        train=lambda wildcards: images_of(wildcards)["train"],
    output:
        latents=RESULTS / "{space}/latents.safetensors",
        map=RESULTS / "{space}/latent_map.csv",
        preps=RESULTS / "{space}/preps.h5",
    log:
        RESULTS / "logs/{space}/latents.log",
    benchmark:
        RESULTS / "benchmarks/{space}/latents.tsv"
    wildcard_constraints:
        space=one_of(CLASSIFIER_SPACES),
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        zoo=lambda wildcards: SPACES[wildcards.space].zoo,
        architectures=lambda wildcards: list(SPACES[wildcards.space].architectures),
        seeds=lambda wildcards: list(SPACES[wildcards.space].embedder.seeds),
        seed=STUDY.seed,
        run=RUN,
        code=code_hash("lib.experiments.latents"),
    message:
        "Space {wildcards.space}: encoding all networks"
    script:
        "../workflow/scripts/space/latents.py"

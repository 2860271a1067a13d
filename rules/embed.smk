"""The latent space: the teacher's outputs, then one embedder for each seed.

Output: multiarch/teacher.safetensors, multiarch/embedder/seed_*/{embedder.safetensors,losses.csv}.
"""


rule teacher:
    input:
        catalogue=rules.catalogue.output,
        shards=shards(ARCHITECTURES[-1:]),
        train=IMAGES["train"],
        validation=IMAGES["validation"],
    output:
        RESULTS / "multiarch/teacher.safetensors",
    log:
        RESULTS / "logs/teacher.log",
    benchmark:
        RESULTS / "benchmarks/teacher.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        teacher=block(STUDY.teacher),
        architectures=ARCHITECTURES,
        seed=STUDY.seed,
        engine=ENGINE,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.embed.teacher", *map(nets.module_of, ARCHITECTURES)),
    message:
        "Teacher: its outputs on the training images"
    script:
        "../workflow/scripts/teacher.py"


rule train_embedder:
    input:
        shards=shards(ARCHITECTURES),
        teacher=rules.teacher.output,
        train=IMAGES["train"],
        validation=IMAGES["validation"],
    output:
        embedder=RESULTS / "multiarch/embedder/seed_{seed}/embedder.safetensors",
        card=RESULTS / "multiarch/embedder/seed_{seed}/embedder.safetensors.json",
        losses=RESULTS / "multiarch/embedder/seed_{seed}/losses.csv",
    log:
        RESULTS / "logs/train_embedder/seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/train_embedder/seed_{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.embedder.threads
    resources:
        **ON_DEVICE,
    params:
        embedder=block(STUDY.embedder, exclude={"seeds"}),
        architectures=ARCHITECTURES,
        seed=STUDY.seed,
        device=STUDY.device,
        code=embedder_code(STUDY.embedder.arm),
    message:
        "Embedder: training, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_embedder.py"

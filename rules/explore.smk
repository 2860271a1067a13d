"""Exploration of the latent space: its map, walks through it, optimisation in it.

Output: multiarch/{latents.safetensors,latent_map.csv,preps.h5,interpolation.csv,
latent_optimization.csv}.
"""

NETWORKS = {
    "catalogue": rules.catalogue.output,
    "shards": shards(ARCHITECTURES),
    "embedders": embedders(),
}
OPTIMIZATION = {key for key in type(STUDY.explore).model_fields if key.startswith("optimization_")}


rule latents:
    input:
        **NETWORKS,
        train=IMAGES["train"],
    output:
        latents=RESULTS / "multiarch/latents.safetensors",
        map=RESULTS / "multiarch/latent_map.csv",
        preps=RESULTS / "multiarch/preps.h5",
    log:
        RESULTS / "logs/latents.log",
    benchmark:
        RESULTS / "benchmarks/latents.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        architectures=ARCHITECTURES,
        seeds=SEEDS,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.explore.latents"),
    message:
        "Exploration: encoding all networks"
    script:
        "../workflow/scripts/latents.py"


rule interpolation:
    input:
        **NETWORKS,
        test=IMAGES["test"],
    output:
        RESULTS / "multiarch/interpolation.csv",
    log:
        RESULTS / "logs/interpolation.log",
    benchmark:
        RESULTS / "benchmarks/interpolation.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        explore=block(STUDY.explore, exclude=OPTIMIZATION),
        architectures=ARCHITECTURES,
        seeds=SEEDS,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.explore.interpolation"),
    message:
        "Exploration: walks between test networks"
    script:
        "../workflow/scripts/interpolation.py"


rule latent_optimization:
    input:
        **NETWORKS,
        **IMAGES,
        teacher=rules.teacher.output,
    output:
        RESULTS / "multiarch/latent_optimization.csv",
    log:
        RESULTS / "logs/latent_optimization.log",
    benchmark:
        RESULTS / "benchmarks/latent_optimization.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        explore=block(STUDY.explore, include=OPTIMIZATION),
        controls=block(STUDY.controls),
        architectures=ARCHITECTURES,
        seeds=SEEDS,
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.explore.optimization"),
    message:
        "Exploration: optimising latents"
    script:
        "../workflow/scripts/latent_optimization.py"

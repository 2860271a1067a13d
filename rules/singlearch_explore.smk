"""What the space of one architecture knows: its map, walks, optimisation, properties, new networks.

Output: singlearch/{latents.safetensors,latent_map.csv,interpolation.csv,latent_optimization.csv,
property_prediction.csv,sampling.csv,novelty.csv,arithmetic.csv}.
"""

SINGLE_RUN = {
    "architecture": SINGLE.architecture,
    "seeds": SINGLE_SEEDS,
    "seed": STUDY.seed,
    "run": {"device": STUDY.device, "threads": STUDY.threads},
}


rule singlearch_latents:
    input:
        **SINGLE_NETWORKS,
        train=IMAGES["train"],
    output:
        latents=RESULTS / "singlearch/latents.safetensors",
        map=RESULTS / "singlearch/latent_map.csv",
    log:
        RESULTS / "logs/singlearch/latents.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/latents.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        **SINGLE_RUN,
        code=code_hash("lib.explore.latents"),
    message:
        "Single-architecture space: encoding all networks"
    script:
        "../workflow/scripts/singlearch_latents.py"


rule singlearch_interpolation:
    input:
        **SINGLE_NETWORKS,
        train=IMAGES["train"],
        test=IMAGES["test"],
    output:
        RESULTS / "singlearch/interpolation.csv",
    log:
        RESULTS / "logs/singlearch/interpolation.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/interpolation.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        **SINGLE_RUN,
        explore=block(SINGLE.explore, include={"points", "pairs", "reset_images"}),
        code=code_hash("lib.explore.blends"),
    message:
        "Single-architecture space: walks between test networks"
    script:
        "../workflow/scripts/singlearch_interpolation.py"


rule singlearch_optimization:
    input:
        **SINGLE_NETWORKS,
        **IMAGES,
        teacher=rules.teacher.output,
    output:
        RESULTS / "singlearch/latent_optimization.csv",
    log:
        RESULTS / "logs/singlearch/latent_optimization.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/latent_optimization.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        **SINGLE_RUN,
        explore=block(SINGLE.explore, include=OPTIMIZATION),
        controls=block(STUDY.controls, include={"distill_rate"}),
        code=code_hash("lib.explore.tuning"),
    message:
        "Single-architecture space: optimising latents"
    script:
        "../workflow/scripts/singlearch_optimization.py"


rule singlearch_properties:
    input:
        **SINGLE_NETWORKS,
        test=IMAGES["test"],
    output:
        RESULTS / "singlearch/property_prediction.csv",
    log:
        RESULTS / "logs/singlearch/property_prediction.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/property_prediction.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        **SINGLE_RUN,
        explore=block(SINGLE.explore, include={"components"}),
        code=code_hash("lib.evaluate.properties"),
    message:
        "Single-architecture space: predicting properties"
    script:
        "../workflow/scripts/singlearch_properties.py"


rule singlearch_sampling:
    input:
        **SINGLE_NETWORKS,
        **IMAGES,
    output:
        sampling=RESULTS / "singlearch/sampling.csv",
        novelty=RESULTS / "singlearch/novelty.csv",
    log:
        RESULTS / "logs/singlearch/sampling.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/sampling.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        **SINGLE_RUN,
        explore=block(
            SINGLE.explore, include={"samples", "finetuned", "finetune_epochs", "finetune_rate"}
        ),
        training=block(SINGLE.training),
        engine=ENGINE,
        code=code_hash("lib.explore.sampling"),
    message:
        "Single-architecture space: drawing networks"
    script:
        "../workflow/scripts/singlearch_sampling.py"


rule singlearch_arithmetic:
    input:
        **SINGLE_NETWORKS,
        validation=IMAGES["validation"],
        test=IMAGES["test"],
    output:
        RESULTS / "singlearch/arithmetic.csv",
    log:
        RESULTS / "logs/singlearch/arithmetic.log",
    benchmark:
        RESULTS / "benchmarks/singlearch/arithmetic.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        **SINGLE_RUN,
        explore=block(SINGLE.explore, include={"scales"}),
        code=code_hash("lib.explore.arithmetic"),
    message:
        "Single-architecture space: moving networks from poor to good"
    script:
        "../workflow/scripts/singlearch_arithmetic.py"


SINGLE_TABLES = {
    "catalogue": rules.singlearch_catalogue.output,
    "latent_map": rules.singlearch_latents.output.map,
    "reconstruction": rules.singlearch_reconstruction.output,
    "interpolation": rules.singlearch_interpolation.output,
    "latent_optimization": rules.singlearch_optimization.output,
    "property_prediction": rules.singlearch_properties.output,
    "sampling": rules.singlearch_sampling.output.sampling,
    "novelty": rules.singlearch_sampling.output.novelty,
    "arithmetic": rules.singlearch_arithmetic.output,
}

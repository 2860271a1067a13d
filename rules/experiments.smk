"""What is asked of spaces of classifiers; one job, script, module and table for each experiment.

Output: {space}/{reconstruction,interpolation,latent_optimization,...}.csv, as the config asks.
"""


rule experiment:
    input:
        unpack(given),
    output:
        RESULTS / "{space}/{experiment}.csv",
    log:
        RESULTS / "logs/{space}/{experiment}.log",
    benchmark:
        RESULTS / "benchmarks/{space}/{experiment}.tsv"
    wildcard_constraints:
        space=one_of(CLASSIFIER_SPACES),
        experiment=one_of(ClassifierExperiments.model_fields),
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        settings=settings,
        told=told,
        zoo=lambda wildcards: SPACES[wildcards.space].zoo,
        architectures=lambda wildcards: list(SPACES[wildcards.space].architectures),
        seeds=lambda wildcards: list(SPACES[wildcards.space].embedder.seeds),
        seed=STUDY.seed,
        run=RUN,
        code=lambda wildcards: code_hash(f"lib.experiments.{wildcards.experiment}"),
    message:
        "Space {wildcards.space}: {wildcards.experiment}"
    script:
        "../workflow/scripts/space/experiment.py"

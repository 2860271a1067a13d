"""What is asked of spaces of classifiers; one job, script, module and table for each experiment.

Output: {space}/{reconstruction,interpolation,latent_optimization,...}.csv, as the config asks.
"""

from lib.config import ClassifierExperiments


def settings(wildcards):
    """The settings of an experiment, as plain values.

    Raises:
        WorkflowError: it is not asked for.
    """
    asked_for = SPACES[wildcards.space].experiments
    found = getattr(asked_for, wildcards.experiment)
    if found is None:
        raise WorkflowError(
            f"spaces.{wildcards.space}.experiments has no {wildcards.experiment}, only "
            + ", ".join(asked_for.names())
        )
    return block(found)


def needs(wildcards):
    """What an experiment needs beside networks, images and embedders."""
    return ClassifierExperiments.block(wildcards.experiment).needs


def without(space):
    """The embedders that were trained without some architectures, set by set, seed by seed."""
    asked_for = SPACES[space].experiments.unseen
    return [
        embedder(space, seed, f"unseen/{left_out}")["embedder"]
        for left_out in LEFT_OUT[space]
        for seed in asked_for.seeds
    ]


def given(wildcards):
    """All files that an experiment reads."""
    found = networks(wildcards) | images_of(wildcards)
    if "teacher" in needs(wildcards):
        found["teacher"] = RESULTS / f"{wildcards.space}/teacher.safetensors"
    if "unseen" in needs(wildcards):
        found["unseen"] = without(wildcards.space)
    return found


def told(wildcards):
    """What an experiment is told beside its own settings, as plain values."""
    space, needed = SPACES[wildcards.space], needs(wildcards)
    found = {"controls": block(space.controls)}
    if "training" in needed:
        found |= {"training": block(ZOOS[space.zoo].training), "engine": ENGINE}
    if "unseen" in needed:
        found |= {
            "left_out": list(LEFT_OUT[wildcards.space].values()),
            "unseen_seeds": list(space.experiments.unseen.seeds),
        }
    if "sampling" in needed and space.experiments.sampling:
        found["sampling"] = block(space.experiments.sampling)
    return found


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

"""Architectures never seen: embedders trained without a network of them, and what they generate.

Output: multiarch/unseen/{left_out}/seed_*/{embedder.safetensors,losses.csv}, multiarch/unseen.csv
and multiarch/unseen_finetune.csv.
"""

import re

from lib.evaluate.unseen import label

LEFT_OUT = {label(names): list(names) for names in STUDY.left_out}
WITHOUT = "multiarch/unseen/{left_out}/seed_{seed}"


# The job is given the shards of the seen architectures alone: it cannot read another network.
use rule train_embedder as unseen_embedder with:
    input:
        shards=lambda wildcards: shards(seen(wildcards)),
        teacher=rules.teacher.output,
        train=IMAGES["train"],
        validation=IMAGES["validation"],
    output:
        embedder=RESULTS / WITHOUT / "embedder.safetensors",
        card=RESULTS / WITHOUT / "embedder.safetensors.json",
        losses=RESULTS / WITHOUT / "losses.csv",
    log:
        RESULTS / "logs/unseen_embedder/{left_out}_seed_{seed}.log",
    benchmark:
        RESULTS / "benchmarks/unseen_embedder/{left_out}_seed_{seed}.tsv"
    wildcard_constraints:
        left_out=one_of(re.escape(name) for name in LEFT_OUT),
    params:
        embedder=block(STUDY.embedder, exclude={"seeds"}),
        architectures=ARCHITECTURES,
        left_out=lambda wildcards: LEFT_OUT[wildcards.left_out],
        fresh=STUDY.unseen.fresh,
        seed=STUDY.seed,
        device=STUDY.device,
        code=[embedder_code(STUDY.embedder.arm), code_hash("lib.embed.fresh")],
    message:
        "Embedder without {wildcards.left_out}: training, seed {wildcards.seed}"


rule unseen:
    input:
        **NETWORKS,
        **IMAGES,
        teacher=rules.teacher.output,
        unseen=without(rules.unseen_embedder.output.embedder),
    output:
        table=RESULTS / "multiarch/unseen.csv",
        finetune=RESULTS / "multiarch/unseen_finetune.csv",
    log:
        RESULTS / "logs/unseen.log",
    benchmark:
        RESULTS / "benchmarks/unseen.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        unseen=block(STUDY.unseen, exclude={"left_out"}),
        left_out=list(LEFT_OUT.values()),
        controls=block(STUDY.controls, include={"distill_rate"}),
        training=block(STUDY.zoo.training),
        engine=ENGINE,
        architectures=ARCHITECTURES,
        seeds=SEEDS,
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.evaluate.unseen", "lib.evaluate.finetune"),
    message:
        "Evaluation: architectures never seen"
    script:
        "../workflow/scripts/unseen.py"

"""Evaluation on the test networks and test images, beside the controls.

Output: multiarch/{reconstruction,novelty,retrieval}.csv.
"""


rule reconstruction:
    input:
        **NETWORKS,
        **IMAGES,
    output:
        RESULTS / "multiarch/reconstruction.csv",
    log:
        RESULTS / "logs/reconstruction.log",
    benchmark:
        RESULTS / "benchmarks/reconstruction.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        controls=block(STUDY.controls),
        architectures=ARCHITECTURES,
        seeds=SEEDS,
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.evaluate.reconstruction"),
    message:
        "Evaluation: test networks and controls"
    script:
        "../workflow/scripts/reconstruction.py"


rule novelty:
    input:
        **NETWORKS,
        validation=IMAGES["validation"],
        test=IMAGES["test"],
    output:
        RESULTS / "multiarch/novelty.csv",
    log:
        RESULTS / "logs/novelty.log",
    benchmark:
        RESULTS / "benchmarks/novelty.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        architectures=ARCHITECTURES,
        seeds=SEEDS,
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.evaluate.novelty"),
    message:
        "Evaluation: decoded networks and the training networks nearest to them"
    script:
        "../workflow/scripts/novelty.py"


rule retrieval:
    input:
        **NETWORKS,
        test=IMAGES["test"],
    output:
        RESULTS / "multiarch/retrieval.csv",
    log:
        RESULTS / "logs/retrieval.log",
    benchmark:
        RESULTS / "benchmarks/retrieval.tsv"
    conda:
        "../envs/torch.yaml"
    threads: STUDY.threads
    resources:
        **ON_DEVICE,
    params:
        architectures=ARCHITECTURES,
        seeds=SEEDS,
        seed=STUDY.seed,
        run={"device": STUDY.device, "threads": STUDY.threads},
        code=code_hash("lib.evaluate.retrieval"),
    message:
        "Evaluation: neighbours of test networks"
    script:
        "../workflow/scripts/retrieval.py"

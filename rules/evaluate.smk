"""Evaluation on the test networks and test images, beside the controls.

Output: multiarch/reconstruction.csv.
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

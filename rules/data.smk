"""Images: from the configured source to three files, one for each split.

Output: images/{train,validation,test}.h5. Only evaluation reads the test images.
"""


rule prepare_images:
    output:
        **IMAGES,
    log:
        RESULTS / "logs/prepare_images.log",
    benchmark:
        RESULTS / "benchmarks/prepare_images.tsv"
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        images=block(STUDY.images),
        seed=STUDY.seed,
        code=code_hash("lib.data.images"),
    message:
        "Images: reading, splitting, storing"
    script:
        "../workflow/scripts/prepare_images.py"

"""Data: what networks are functions of, read once from where the config says.

Output: data/{data}/{train,validation,test}.h5 of images, which only evaluation reads the last of;
data/{data}/meshes of a folder or archive of shapes.
"""


rule prepare_images:
    output:
        **images("{data}"),
    log:
        RESULTS / "logs/data/{data}/prepare_images.log",
    benchmark:
        RESULTS / "benchmarks/data/{data}/prepare_images.tsv"
    wildcard_constraints:
        data=one_of(of_kind(DATA, "images")),
    conda:
        "../envs/torch.yaml"
    resources:
        **ON_CPU,
    params:
        images=lambda wildcards: block(DATA[wildcards.data]),
        seed=STUDY.seed,
        code=code_hash("lib.data.images"),
    message:
        "Data: reading, splitting and storing the images of {wildcards.data}"
    script:
        "../workflow/scripts/data/prepare_images.py"


rule read_meshes:
    output:
        meshes=directory(RESULTS / "data/{data}/meshes"),
    log:
        RESULTS / "logs/data/{data}/read_meshes.log",
    benchmark:
        RESULTS / "benchmarks/data/{data}/read_meshes.tsv"
    wildcard_constraints:
        data=one_of(of_kind(DATA, "shapes")),
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        source=lambda wildcards: DATA[wildcards.data].source,
        seed=STUDY.seed,
        code=code_hash("lib.data.shapes"),
    message:
        "Data: reading the meshes of {wildcards.data}"
    script:
        "../workflow/scripts/data/read_meshes.py"

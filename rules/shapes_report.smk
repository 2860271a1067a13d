"""The page on shapes, and the meshes and pictures that it holds.

Output: shapes/scenes.json, shapes_report.html.
"""

SHAPE_TABLES = {
    "shapes": rules.shapes_meshes.output.table,
    "left_out": rules.shapes_meshes.output.left_out,
    "catalogue": rules.shapes_catalogue.output[0],
    "latent_map": rules.shapes_latents.output[0],
    "reconstruction": rules.shapes_reconstruction.output.table,
    "interpolation": rules.shapes_interpolation.output.table,
    "completion": rules.shapes_completion.output.table,
    "sampling": rules.shapes_sampling.output.table,
}


rule shapes_scenes:
    input:
        **SHAPE_TABLES,
        meshes=[
            rules.shapes_meshes.output.meshes,
            rules.shapes_reconstruction.output.meshes,
            rules.shapes_interpolation.output.meshes,
            rules.shapes_completion.output.meshes,
            rules.shapes_sampling.output.meshes,
        ],
    output:
        RESULTS / "shapes/scenes.json",
    log:
        RESULTS / "logs/shapes/scenes.log",
    benchmark:
        RESULTS / "benchmarks/shapes/scenes.tsv"
    conda:
        "../envs/mesh.yaml"
    resources:
        **ON_CPU,
    params:
        folder=RESULTS / "shapes/meshes",
        code=code_hash("lib.report.scenes", "lib.report.shape_scenes"),
    message:
        "Report: the meshes of the page on shapes"
    script:
        "../workflow/scripts/shapes_scenes.py"


rule shapes_report:
    input:
        **SHAPE_TABLES,
        scenes=rules.shapes_scenes.output,
        embedders=SHAPE_SPACE["embedders"],
        card=expand(rules.shapes_embedder.output.card, seed=SHAPE_SEEDS[:1]),
        assets=assets(),
    output:
        report(
            RESULTS / "shapes_report.html",
            caption="../workflow/report/shapes_report.rst",
            category="Reports",
        ),
    log:
        RESULTS / "logs/shapes_report.log",
    conda:
        "../envs/report.yaml"
    resources:
        **ON_CPU,
    params:
        study=STUDY.of("shapes"),
        benchmarks=RESULTS / "benchmarks/shapes",
        code=code_hash("lib.report.shapes", "lib.report.run"),
    message:
        "Report: the space of shapes"
    script:
        "../workflow/scripts/shapes_report.py"

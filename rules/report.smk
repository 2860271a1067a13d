"""The pages that people read, and the digests of everything the study made.

Output: multiarch_report.html, singlearch_report.html, report.html, digests.json.
"""

MULTIARCH = {
    "catalogue": rules.catalogue.output,
    "latent_map": rules.latents.output.map,
    "preps": rules.latents.output.preps,
    "reconstruction": rules.reconstruction.output,
    "interpolation": rules.interpolation.output,
    "latent_optimization": rules.latent_optimization.output,
    "novelty": rules.novelty.output,
    "retrieval": rules.retrieval.output,
}
if LEFT_OUT:
    MULTIARCH["unseen"] = rules.unseen.output.table
    MULTIARCH["unseen_finetune"] = rules.unseen.output.finetune


rule multiarch_report:
    input:
        **MULTIARCH,
        losses=expand(rules.train_embedder.output.losses, seed=SEEDS),
        embedders=embedders(),
        cards=expand(rules.train_embedder.output.card, seed=SEEDS),
        images=IMAGES.values(),
        assets=assets(),
    output:
        report(
            RESULTS / "multiarch_report.html",
            caption="../workflow/report/multiarch_report.rst",
            category="Reports",
        ),
    log:
        RESULTS / "logs/multiarch_report.log",
    conda:
        "../envs/report.yaml"
    resources:
        **ON_CPU,
    params:
        study=STUDY.of("multiarch"),
        benchmarks=RESULTS / "benchmarks",
        code=code_hash("lib.report.multiarch", "lib.report.run"),
    message:
        "Report: the multi-architecture space"
    script:
        "../workflow/scripts/multiarch_report.py"


rule singlearch_report:
    input:
        **SINGLE_TABLES,
        losses=expand(rules.singlearch_embedder.output.losses, seed=SINGLE_SEEDS),
        embedders=SINGLE_NETWORKS["embedders"],
        images=IMAGES.values(),
        assets=assets(),
    output:
        report(
            RESULTS / "singlearch_report.html",
            caption="../workflow/report/singlearch_report.rst",
            category="Reports",
        ),
    log:
        RESULTS / "logs/singlearch_report.log",
    conda:
        "../envs/report.yaml"
    resources:
        **ON_CPU,
    params:
        study=STUDY.of("singlearch"),
        benchmarks=RESULTS / "benchmarks/singlearch",
        code=code_hash("lib.report.singlearch", "lib.report.run"),
    message:
        "Report: the space of one architecture"
    script:
        "../workflow/scripts/singlearch_report.py"


rule index:
    input:
        pages=reports(),
        assets=assets(),
    output:
        report(RESULTS / "report.html", caption="../workflow/report/index.rst", category="Reports"),
    log:
        RESULTS / "logs/index.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        code=code_hash("lib.report.page"),
    message:
        "Report: the page that opens onto the others"
    script:
        "../workflow/scripts/index.py"


# What of each part has a digest; the zoos' shards have one for each architecture instead.
MADE = {
    "multiarch": [
        *MULTIARCH.values(),
        rules.teacher.output,
        rules.latents.output.latents,
        expand(rules.train_embedder.output.embedder, seed=SEEDS),
        expand(rules.train_embedder.output.losses, seed=SEEDS),
        without(rules.unseen_embedder.output.embedder),
        without(rules.unseen_embedder.output.losses),
        rules.multiarch_report.output,
    ],
    "singlearch": [
        *SINGLE_TABLES.values(),
        rules.singlearch_latents.output.latents,
        SINGLE_NETWORKS["embedders"],
        expand(rules.singlearch_embedder.output.losses, seed=SINGLE_SEEDS),
        rules.singlearch_report.output,
    ],
    "shapes": [
        rules.shapes_meshes.output.table,
        rules.shapes_meshes.output.left_out,
        rules.shapes_catalogue.output,
        SHAPE_SPACE["embedders"],
        expand(rules.shapes_embedder.output.losses, seed=SHAPE_SEEDS),
        rules.shapes_reconstruction.output.table,
        rules.shapes_latents.output,
        rules.shapes_interpolation.output.table,
        rules.shapes_sampling.output.table,
        rules.shapes_completion.output.table,
        rules.shapes_report.output,
    ],
}
ZOOS = {
    "multiarch": shards(ARCHITECTURES),
    "singlearch": rules.singlearch_catalogue.input,
    "shapes": rules.shapes_catalogue.input,
}


rule digests:
    input:
        images=IMAGES.values(),
        shards=[ZOOS[part] for part in STUDY.parts],
        files=[MADE[part] for part in STUDY.parts],
        index=rules.index.output,
    output:
        RESULTS / "digests.json",
    log:
        RESULTS / "logs/digests.log",
    conda:
        "../envs/report.yaml"
    resources:
        **ON_CPU,
    params:
        root=RESULTS,
        code=code_hash("lib.report.digests"),
    message:
        "Digests of everything made"
    script:
        "../workflow/scripts/digests.py"

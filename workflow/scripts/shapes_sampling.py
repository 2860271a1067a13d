"""Draw new shapes from the latent space, and how near each is to a training shape."""

import pandas as pd

from lib.config import Shapes
from lib.core.progress import job, track
from lib.core.repro import atomic, deterministic
from lib.data.meshes import read_mesh
from lib.data.meshing import Meshed
from lib.embed import load_embedder
from lib.evaluate import shapes
from lib.explore.shapes import Known, described, samples
from lib.zoo import fields
from lib.zoo.store import Catalogue

params, rows = snakemake.params, []
with job("new shapes", snakemake.log[0]):
    deterministic(params.threads)
    cfg = Shapes.model_validate(params.shapes)
    catalogue, family = Catalogue.load(snakemake.input.catalogue[0]), fields.family_of(cfg)
    train, test = (fields.load(catalogue, family, split) for split in ("train", "test"))
    known = Known(shapes.surfaces(snakemake.input.originals, train.frame["shape"]))
    embedder, names = load_embedder(snakemake.input.embedders[0]), ("shapes", params.seed, "new")
    drawn = samples(embedder, names, cfg.explore.sampled, train)
    found = {way: list(shapes.meshes(family, flat, cfg.resolution)) for way, flat in drawn.items()}
    # How near real shapes, which nobody has seen, are to the training shapes.
    unseen = test.frame["shape"][: cfg.explore.sampled]
    found["unseen"] = [
        Meshed(*read_mesh(f"{snakemake.input.originals}/{name}.ply"), 0) for name in unseen
    ]
    for method, meshes in found.items():
        made = {f"{method}_{number:03d}": mesh for number, mesh in enumerate(meshes)}
        shapes.keep(snakemake.output.meshes, made)
        for name, mesh in track(made.items(), method):
            rows.append({"method": method, "mesh": name} | described(mesh, name, known))
    with atomic(snakemake.output.table) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)

"""Sample the signed distances around some shapes: where fields are trained, and where judged."""

import json

import numpy as np

from lib.core.progress import job, track
from lib.core.repro import seed_for, versions
from lib.data.sdf import sample, write_samples
from lib.data.shapes import shapes
from lib.data.solid import Solid
from lib.zoo.fields import shape_name

params = snakemake.params
with job(f"samples {snakemake.wildcards.shard}", snakemake.log[0]):
    near, uniform = [], []
    cfg = params.shapes
    numbers = range(*params.instances)
    found = shapes(snakemake.input.get("source"), numbers, params.seed)
    for instance, made in zip(track(numbers, "shapes"), found, strict=True):
        name, mesh = shape_name(instance), (made.vertices, made.faces)
        rng = np.random.default_rng(seed_for("samples", params.seed, instance))
        near.append((name, *sample(*mesh, cfg["samples"], rng, near=cfg["near"])))
        points = rng.uniform(-1, 1, (cfg["uniform"], 3)).astype(np.float32)
        uniform.append((name, points, Solid(*mesh).signed_distance(points)))
    made_with = {"versions": json.dumps(versions())}
    write_samples(snakemake.output.near, near, made_with)
    write_samples(snakemake.output.uniform, uniform, made_with)

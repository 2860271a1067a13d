"""Sample the signed distances around some shapes: where fields are trained, and where judged."""

import json

import numpy as np

from lib.core.progress import job, track
from lib.core.repro import versions
from lib.core.streams import Stream
from lib.data.sdf import sample, write_samples
from lib.data.shapes import shapes
from lib.data.solid import Solid
from lib.zoo.fields import shape_name

params, wildcards = snakemake.params, snakemake.wildcards
with job(f"samples {wildcards.zoo} {wildcards.shard}", snakemake.log[0]):
    near, uniform = [], []
    cfg, numbers = params.shapes, range(*params.instances)
    source = snakemake.input.get("source")
    where = f"zoos.{wildcards.zoo}"
    found = shapes(source, numbers, Stream("data", params.seed, params.data), where)
    stream = Stream("shapes", params.seed, wildcards.zoo, "samples")
    for instance, made in zip(track(numbers, "shapes"), found, strict=True):
        name, mesh = shape_name(instance), (made.vertices, made.faces)
        rng = stream.of(instance).numpy()
        near.append((name, *sample(*mesh, cfg["samples"], rng, near=cfg["near"])))
        points = rng.uniform(-1, 1, (cfg["uniform"], 3)).astype(np.float32)
        uniform.append((name, points, Solid(*mesh).signed_distance(points)))
    made_with = {"versions": json.dumps(versions())}
    write_samples(snakemake.output.near, near, made_with)
    write_samples(snakemake.output.uniform, uniform, made_with)

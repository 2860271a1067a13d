"""A space of shapes in miniature for tests: fields of boxes and an embedder of them."""

from __future__ import annotations

import numpy as np
import torch

from lib.config import Shapes
from lib.embed import shapes
from lib.embed.product import make_arm
from lib.embed.shapes import Fields
from lib.fields import space_of
from lib.nets import build_field
from lib.training.fields import train_fields

CFG = Shapes(
    widths=(16, 16),
    omega=10.0,
    training={"steps": 300, "batch_size": 128},
    embedder={
        "latent": 16,
        "rank": 16,
        "probes": 64,
        "steps": 300,
        "networks": 4,
        "batch_size": 64,
        "select_every": 100,
        "options": {"hidden": 32},
    },
)
FIELD = {"widths": CFG.widths, "omega": CFG.omega}


def boxes(count, seed):
    """Points [n, M, 3] and signed distances of boxes of random sides."""
    rng = np.random.default_rng(seed)
    half = rng.uniform(0.2, 0.7, (count, 1, 3))
    points = rng.uniform(-1, 1, (count, 600, 3))
    gap = np.abs(points) - half
    outside = np.linalg.norm(np.maximum(gap, 0), axis=2)
    return points.astype(np.float32), (outside + np.minimum(gap.max(2), 0)).astype(np.float32)


def zoo(count, seed):
    points, distances = boxes(count, seed)
    trained = train_fields(
        lambda: build_field("SIREN", **FIELD),
        [("boxes", seed, i) for i in range(count)],
        CFG.training,
        points,
        distances,
    )
    flat = space_of(CFG).layout.flatten(trained.stack)
    points, inside = torch.from_numpy(points), torch.from_numpy(distances < 0)
    return Fields(flat, points, points, inside)


def trained_arm(cfg, known, held_out):
    torch.manual_seed(0)
    arm = make_arm(cfg.embedder, ["SIREN"], (3,), 1, FIELD)
    return arm, shapes.train(arm, ("test",), known, held_out, cfg)

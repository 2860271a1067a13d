"""A space of shapes in miniature for tests: fields of boxes and an embedder of them."""

from __future__ import annotations

import struct

import numpy as np
import torch

from lib.config import FIELDS, FieldSpace, FieldZoo
from lib.core.streams import Stream
from lib.embed.objectives import fields as objective
from lib.embed.product import make_arm
from lib.engine.training.fields import train_fields
from lib.nets import build_field
from lib.zoo.fields import Fields, family_of

ZOO = FieldZoo(
    data="boxes", widths=(16, 16), omega=10.0, training={"steps": 300, "batch_size": 128}
)
CFG = FieldSpace(
    zoo="boxes",
    embedder=FIELDS.changed(
        {
            "latent": 16,
            "rank": 16,
            "probes": 64,
            "steps": 300,
            "networks": 4,
            "batch_size": 64,
            "select_every": 100,
            "options": {"hidden": 32},
        }
    ),
)
FIELD = {"widths": ZOO.widths, "omega": ZOO.omega}


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
        [Stream("boxes", seed, i) for i in range(count)],
        ZOO.training,
        points,
        distances,
    )
    flat = family_of(ZOO).layout.flatten(trained.stack)
    points, inside = torch.from_numpy(points), torch.from_numpy(distances < 0)
    return Fields(flat, points, points, inside)


def trained_arm(cfg, known, held_out):
    torch.manual_seed(0)
    arm = make_arm(cfg.embedder, ["SIREN"], (3,), 1, FIELD)
    stream = Stream("test")
    return arm, objective.train_fields(
        arm, train=known, held_out=held_out, space=cfg, stream=stream
    )


def solids() -> dict[str, bytes]:
    """A tetrahedron in every format that meshes may have."""
    points = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    corners = "".join(f"{x} {y} {z}\n" for x, y, z in points)
    threes = "".join(f"3 {a} {b} {c}\n" for a, b, c in faces)
    ply = (
        "ply\nformat {} 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nelement face 4\nproperty list uchar int vertex_indices\nend_header\n"
    )
    raw = b"".join(struct.pack("<3f", *point) for point in points)
    raw += b"".join(struct.pack("<B3i", 3, *face) for face in faces)
    stl = bytes(80) + struct.pack("<I", 4)
    for face in faces:
        stl += struct.pack("<12fH", 0, 0, 0, *(v for k in face for v in points[k]), 0)
    obj = "".join(f"v {x} {y} {z}\n" for x, y, z in points)
    obj += "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in faces)
    return {
        "a.off": f"OFF\n4 4 0\n{corners}{threes}".encode(),
        "b.ply": (ply.format("ascii") + corners + threes).encode(),
        "c.ply": ply.format("binary_little_endian").encode() + raw,
        "d.stl": stl,
        "e.obj": f"mtllib a.mtl\n{obj}".encode(),
    }

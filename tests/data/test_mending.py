"""Bodies of parts that touch: what comes out is the union, and the text says what was done."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lib.data.mending import mended
from lib.data.meshes import normalised
from lib.data.solid import Solid, closed

SIDES = [(0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
UNIT = np.array([(x ^ (y & 1), y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
TRIANGLES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))])


def boxes(*parts):
    """Vertices, in the box of a mesh, and faces of boxes from a corner to another."""
    vertices = np.concatenate([low + UNIT * np.subtract(high, low) for low, high in parts])
    faces = np.concatenate([TRIANGLES + 8 * k for k in range(len(parts))])
    low, high = vertices.min(0), vertices.max(0)
    return normalised(vertices), faces.astype(np.int32), 1.8 / (high - low).max(), (low + high) / 2


def merged(vertices, faces):
    places, which = np.unique(vertices, axis=0, return_inverse=True)
    return places, which.reshape(-1)[faces].astype(np.int32)


TOUCHING = {
    "side by side": [((0, 0, 0), (1, 1, 1)), ((1, 0, 0), (2, 1, 1))],
    "small on large": [((0, 0, 0), (2, 2, 1)), ((0.5, 0.5, 1), (1.5, 1.5, 2))],
    "row": [((k, 0, 0), (k + 1, 1, 1)) for k in range(5)],
    "flush": [((0, 0, 0), (1, 1, 1)), ((0.5, 0, 0), (1.5, 1, 1))],
    "nested": [((0, 0, 0), (1, 1, 1)), ((0.3, 0.3, 0.3), (0.6, 0.6, 0.6))],
}


@pytest.mark.parametrize("case", TOUCHING)
def test_parts_that_touch_become_their_union(case):
    vertices, faces, scale, middle = boxes(*TOUCHING[case])
    points = np.random.default_rng(0).uniform(-0.95, 0.95, (5000, 3)).astype(np.float32)
    at = points / scale + middle
    inside = [np.all((at > low) & (at < high), axis=1) for low, high in TOUCHING[case]]
    truth = np.any(inside, axis=0)
    assert (Solid(vertices, faces).inside(points) == truth).all()
    new, triangles, words = mended(*merged(vertices, faces))
    assert (Solid(new, triangles).inside(points) == truth).mean() > 0.998
    np.testing.assert_allclose(np.abs(new).max(0), np.abs(vertices).max(0), atol=0.01)
    assert closed(triangles)
    made = re.fullmatch(r"(walls inside removed|rebuilt .*), volume ([-+]\d\.\d) %", words)
    assert made and abs(float(made[2])) <= 0.5


def test_a_sheet_from_both_sides_is_no_body():
    vertices, faces, *_ = boxes(((0, 0, 0), (1, 1, 0.5)))
    sheet = np.float32([(-0.9, 0, 0.45), (0.9, 0, 0.45), (0.9, 0, 0.9), (-0.9, 0, 0.9)])
    sides = np.array([(0, 1, 2), (0, 2, 3), (1, 0, 3), (1, 3, 2)]) + len(vertices)
    new, triangles, words = mended(
        np.concatenate([vertices, sheet]), np.concatenate([faces, sides]).astype(np.int32)
    )
    assert len(triangles) == 12 and new[:, 2].max() < 0.5
    assert words == "walls inside removed, volume +0.0 %"


@pytest.mark.slow
@pytest.mark.parametrize(("apart", "noise"), [(0, 1e-4), (1e-3, 0)])
def test_a_body_of_loose_triangles_has_no_bubbles_in_or_around_it(apart, noise):
    vertices, faces, *_ = boxes(((0, 0, 0), (1, 1, 1)))
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    loose = corners + apart * across[:, None]
    loose = loose + np.random.default_rng(0).normal(0, noise, loose.shape)
    loose = loose.reshape(-1, 3).astype(np.float32)
    new, triangles, words = mended(loose, np.arange(36, dtype=np.int32).reshape(-1, 3))
    assert words.startswith("rebuilt from its winding number, volume")
    assert closed(triangles) and np.abs(new).max() < 0.92
    a, b, c = np.moveaxis(new[triangles].astype(np.float64), 1, 0)
    assert np.einsum("nd,nd->", a, np.cross(b, c)) / 6 == pytest.approx(1.8**3, rel=0.01)
    assert np.abs(new).max(axis=1).min() > 0.88

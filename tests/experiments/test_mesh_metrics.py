"""Mesh metrics against pairs of meshes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from lib.data import meshing
from lib.experiments.mesh_metrics import Surface, chamfer, compare, iou


def cube(half=0.5, centre=(0.0, 0.0, 0.0), name="cube") -> Surface:
    corners = np.indices((2, 2, 2)).reshape(3, 8).T * 2 - 1
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return Surface(corners * half + np.array(centre), np.array(faces), name)


def ball(radius: float) -> Surface:
    def field(_, points):
        return np.linalg.norm(points, axis=-1) - radius

    found = next(meshing.mesh(field, 1, 64, lipschitz=[1]))
    return Surface(found.vertices, found.faces, "ball")


def test_a_mesh_is_like_itself():
    scores = compare(cube(name="one"), cube(name="two"))
    assert scores.chamfer == pytest.approx(0, abs=1e-6)
    assert scores[1:] == pytest.approx((1, 1, 1, 1), abs=1e-6)


def test_balls_within_each_other():
    scores = compare(ball(0.6), ball(0.585))
    assert scores.chamfer == pytest.approx(0.015, abs=1e-3)
    assert (scores.fscore_001, scores.fscore_002) == (0, 1)
    assert scores.iou == pytest.approx((0.585 / 0.6) ** 3, abs=5e-3)
    assert scores.normal_consistency == pytest.approx(1, abs=1e-2)


def test_cubes_that_overlap_by_half():
    scores = compare(cube(0.4), cube(0.4, (0.4, 0, 0), "moved"))
    assert scores.iou == pytest.approx(1 / 3, abs=0.01)


def test_half_of_a_surface_found_is_an_fscore_of_two_thirds():
    both = np.concatenate([cube(0.2).solid.vertices, cube(0.2, (0.6, 0, 0)).solid.vertices])
    faces = cube().solid.faces
    pair = Surface(both, np.concatenate([faces, faces + 8]), "pair")
    scores = compare(cube(0.2), pair)
    assert scores.fscore_001 == pytest.approx(2 / 3, abs=0.02)  # precision 1, recall 1/2
    assert scores.iou == pytest.approx(1 / 2, abs=0.02)


def test_normals_square_to_each_other_do_not_agree():
    thin = 1e-3
    corners = np.array([0.5, 0.5, thin])
    flat = Surface(cube().solid.vertices * corners / 0.5, cube().solid.faces, "flat")
    upright = Surface(cube().solid.vertices * corners[[0, 2, 1]] / 0.5, flat.solid.faces, "up")
    assert compare(flat, upright).normal_consistency < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_two_meshes_does_not_matter(seed):
    move = np.random.default_rng(seed).uniform(-0.2, 0.2, 3)
    one, other = cube(0.4), cube(0.3, move, "other")
    there, back = compare(one, other), compare(other, one)
    assert there.iou == pytest.approx(back.iou, abs=0.01)
    assert there._replace(iou=0) == pytest.approx(back._replace(iou=0))
    assert chamfer(one, other) == there.chamfer > 0


def test_scores_are_the_same_whatever_was_compared_before_and_on_any_threads():
    first = compare(ball(0.5), cube(0.4))
    busy = ball(0.5)
    compare(busy, cube(0.2, name="other"))
    assert compare(busy, cube(0.4)) == first
    threaded = Surface(busy.solid.vertices, busy.solid.faces, "ball", threads=2)
    assert compare(threaded, cube(0.4)) == first


def test_no_mesh_scores_nothing():
    empty = Surface(np.zeros((0, 3)), np.zeros((0, 3), int), "empty")
    scores = compare(empty, ball(0.5))
    assert scores.chamfer == pytest.approx(0.5, abs=1e-3)
    assert scores[1:] == (0, 0, 0, 0) and iou(empty, empty) == 0

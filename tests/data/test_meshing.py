"""Meshing coarse to fine: the same mesh as from the whole grid, from far fewer evaluations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.bench.meshing import compare, line
from lib.data import meshing


class Counted:
    """Fields of signed distance by number, counting what is asked of them."""

    def __init__(self, *fields):
        self.fields, self.asked, self.calls = fields, 0, 0

    def __call__(self, which, points):
        assert points.shape == (len(which), points.shape[1], 3) and points.dtype == np.float32
        self.asked, self.calls = self.asked + points[..., 0].size, self.calls + 1
        return np.stack([self.fields[i](p) for i, p in zip(which, points, strict=True)])


def ball(x=0.0, y=0.0, z=0.0, radius=0.5):
    return lambda p: np.linalg.norm(p - np.float32([x, y, z]), axis=-1) - np.float32(radius)


def torus(ring=0.5, tube=0.15):
    return lambda p: np.hypot(np.hypot(p[..., 0], p[..., 1]) - ring, p[..., 2]) - tube


def two_balls(p):
    return np.minimum(ball(-0.4, radius=0.3)(p), ball(0.5, radius=0.2)(p))


def same(one: meshing.Meshed, other: meshing.Meshed) -> None:
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)


def both(field, count, resolution, **options):
    sparse = meshing.mesh(field, count, resolution, **options)
    return list(zip(sparse, meshing.dense(field, count, resolution), strict=True))


@pytest.mark.parametrize("resolution", [24, 32, 33, 64])
def test_the_mesh_is_that_of_the_dense_grid(resolution):
    field = Counted(ball(0.1, -0.2, 0.3), torus(), two_balls)
    for sparse, whole in both(field, 3, resolution, lipschitz=[1, 1, 1]):
        same(sparse, whole)
        assert len(sparse.faces) > 100


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3),
    st.floats(0.03125, 1.25, width=32),
    st.floats(0.25, 4, width=32),
)
def test_it_is_so_for_any_ball_and_any_steepness_that_is_bounded(centre, radius, slope):
    near = ball(*centre, radius)
    field = Counted(lambda p: np.float32(slope) * near(p))
    ((sparse, whole),) = both(field, 1, 32, lipschitz=[slope * 1.001])
    same(sparse, whole)


def test_networks_have_the_mesh_of_the_dense_grid_by_the_estimated_steepness():
    layers = siren(seed=0, count=3)
    for sparse, whole in both(layers, 3, 64):
        assert len(whole.faces) > 100
        np.testing.assert_array_equal(sparse.faces, whole.faces)
        np.testing.assert_allclose(sparse.vertices, whole.vertices, atol=1e-5)


def siren(seed: int, count: int):
    """Random smooth networks that are negative around the middle of the box."""
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(count, 3, 32, generator=random) * 3
    second = torch.randn(count, 32, 1, generator=random) * 0.05

    def field(which, points):
        x = torch.from_numpy(points)
        out = torch.sin(x @ first[which]) @ second[which]
        return (out[..., 0] + x.norm(dim=-1) - 0.6).numpy()

    return field


def test_few_points_are_evaluated_and_all_are_counted():
    field = Counted(ball(), torus())
    found = list(meshing.mesh(field, 2, 128, lipschitz=[1, 1]))
    assert all(10 * one.evaluations < 129**3 for one in found)
    assert sum(one.evaluations for one in found) <= field.asked  # padding between fields is extra


def test_a_field_is_looked_at_as_closely_as_it_is_steep():
    def far_off(p):  # three times as steep away from the surface
        distance = ball()(p)
        return np.where(distance > 0.6, 3 * distance - 1.2, distance)

    steep = Counted(ball(), lambda p: 3 * ball()(p), far_off)
    (alike, tripled, mixed) = both(steep, 3, 64)
    for sparse, whole in (alike, tripled, mixed):
        same(sparse, whole)
    assert tripled[0].evaluations == pytest.approx(alike[0].evaluations, rel=0.01)
    bounded = next(meshing.mesh(Counted(far_off), 1, 64, lipschitz=[3 * meshing.MARGIN]))
    assert mixed[0].evaluations < 0.7 * bounded.evaluations


def test_what_is_tried_to_learn_the_steepness_is_counted():
    field = Counted(ball())
    found = next(meshing.mesh(field, 1, 64))
    assert found.evaluations == field.asked


def test_the_result_depends_neither_on_groups_nor_on_batches(monkeypatch):
    field = Counted(ball(), torus(), two_balls)
    whole = list(meshing.mesh(field, 3, 32, lipschitz=[1, 1, 1]))
    calls = field.calls
    monkeypatch.setattr(meshing, "BATCH", 1000)
    parts = list(meshing.mesh(field, 3, 32, lipschitz=[1, 1, 1], group=2))
    assert field.calls > 2 * calls
    for one, other in zip(whole, parts, strict=True):
        same(one, other)


def test_vertices_lie_on_the_surface_wherever_it_is():
    vertices = next(meshing.mesh(Counted(ball(0.21, -0.3, 0.4, 0.33)), 1, 64)).vertices
    radii = np.linalg.norm(vertices - [0.21, -0.3, 0.4], axis=1)
    assert np.abs(radii - 0.33).max() < 1e-3
    assert vertices.mean(0) == pytest.approx([0.21, -0.3, 0.4], abs=2e-3)


def test_normals_look_outwards():
    found = next(meshing.mesh(Counted(ball(0.2)), 1, 32))
    a, b, c = (found.vertices[found.faces[:, i]] for i in range(3))
    assert np.sum(a * np.cross(b, c)) / 6 == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.02)


@pytest.mark.parametrize(
    "field",
    [
        ball(0.9, radius=0.5),
        lambda p: np.full(p.shape[:-1], -1.0),
        lambda p: np.abs(p[..., 0]) - np.float32(0.25),
    ],
    ids=["cut by the box", "inside everywhere", "a slab through grid points"],
)
def test_meshes_are_closed_at_the_border_of_the_box(field):
    found = next(meshing.mesh(Counted(field), 1, 32, lipschitz=[1]))
    faces = found.faces
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    there = {tuple(edge) for edge in edges}
    assert len(there) == len(edges) > 0
    assert all((b, a) in there for a, b in there)
    assert np.abs(found.vertices).max() <= 1


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_field_without_a_surface_has_an_empty_mesh(value):
    field = Counted(lambda p: np.full(p.shape[:-1], value), ball())
    empty, whole = meshing.mesh(field, 2, 16, lipschitz=[1, 1])
    assert empty.vertices.shape == (0, 3) and empty.faces.shape == (0, 3)
    assert len(whole.faces) > 10


def test_the_benchmark_compares_with_the_dense_grid_at_the_same_size():
    found = compare("balls", Counted(ball(), ball(0.3)), 2, 64)
    assert (found.networks, found.same_triangles, found.largest_difference) == (2, 2, 0)
    assert found.baseline_evaluations == 65**3
    assert found.ratio == pytest.approx(65**3 / found.evaluations)
    assert "the same triangles in 2 of 2" in line(found)

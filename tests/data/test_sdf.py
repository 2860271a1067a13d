"""Signed distances against shapes whose distance is known, and the file that keeps them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from lib.data import meshing
from lib.data.archive import DataError
from lib.data.sdf import read_samples, sample, write_samples
from lib.data.solid import Solid, closed


def sphere(points):
    return np.linalg.norm(points, axis=-1) - 0.6


def box(points):
    away = np.abs(points) - np.array([0.3, 0.5, 0.7])
    return np.linalg.norm(np.maximum(away, 0), axis=-1) + np.minimum(away.max(-1), 0)


def torus(points):
    return np.hypot(np.hypot(points[..., 0], points[..., 1]) - 0.6, points[..., 2]) - 0.2


def box_mesh(half=(0.3, 0.5, 0.7), centre=(0, 0, 0)):
    """Twelve triangles, exact."""
    corners = np.indices((2, 2, 2)).reshape(3, 8).T * 2 - 1
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return np.float32(corners * half + np.array(centre)), np.array(faces, np.int32)


def meshed(distance):
    found = next(meshing.mesh(lambda _, points: distance(points), 1, 64, lipschitz=[1]))
    return found.vertices, found.faces


SHAPES = {
    "sphere": (sphere, meshed(sphere), 1e-3),
    "box": (box, box_mesh(), 1e-6),
    "torus": (torus, meshed(torus), 2e-3),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_distance_and_sign_are_those_of_the_shape(shape):
    exact, mesh, tolerance = SHAPES[shape]
    points = np.random.default_rng(0).uniform(-1, 1, (5000, 3)).astype(np.float32)
    found = Solid(*mesh).signed_distance(points)
    assert np.abs(found - exact(points)).max() < tolerance
    clear = np.abs(exact(points)) > tolerance
    np.testing.assert_array_equal(np.sign(found[clear]), np.sign(exact(points)[clear]))


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_are_balanced_and_right(shape):
    exact, mesh, tolerance = SHAPES[shape]
    points, distances = sample(*mesh, 3000, np.random.default_rng(0))
    assert points.shape == (3000, 3) and points.dtype == distances.dtype == np.float32
    assert np.abs(distances - exact(points)).max() < tolerance
    assert (distances[0::2] <= 0).all() and (distances[1::2] >= 0).all()


@pytest.mark.parametrize("near", [0.25, 0.5, 1.0])
def test_the_share_near_the_surface_is_spread_over_the_scales(near):
    points, distances = sample(*box_mesh(), 6000, np.random.default_rng(0), near=near)
    away = np.abs(distances[1::2])
    at_surface, far = np.mean(away < 0.01), np.mean(away > 0.3)  # four widest scales away
    assert at_surface == pytest.approx(0.47 * near, abs=0.05)  # a third of them, and some others
    assert far == pytest.approx(0.624 * (1 - near), abs=0.05)  # uniform points as far as that


def test_the_uniform_points_of_the_box_are_uniform():
    points, _ = sample(*box_mesh((0.1, 0.1, 0.1)), 8000, np.random.default_rng(0), near=0.01)
    outside = points[1::2]
    assert np.abs(outside).max() <= 1
    assert np.mean(outside < 0, axis=0) == pytest.approx([0.5] * 3, abs=0.03)
    assert np.mean(np.abs(outside) < 0.5) == pytest.approx(0.5, abs=0.03)


def test_samples_do_not_depend_on_threads_and_follow_the_generator():
    mesh = meshed(torus)
    one = sample(*mesh, 2000, np.random.default_rng(5))
    two = sample(*mesh, 2000, np.random.default_rng(5), threads=2)
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(one[0], sample(*mesh, 2000, np.random.default_rng(6))[0])


def test_a_body_too_thin_for_uniform_points_is_sampled_by_its_surface():
    thin = box_mesh((0.6, 0.6, 1e-3))
    points, distances = sample(*thin, 400, np.random.default_rng(0))
    assert (distances[0::2] <= 0).all() and (np.abs(points[0::2, 2]) <= 1e-3).all()


def test_a_mesh_without_area_has_no_inside():
    line = np.float32([[0, 0, 0], [1, 0, 0], [0.5, 0, 0]])
    with pytest.raises(DataError, match="of 10 points inside of the mesh only 0"):
        sample(line, np.array([[0, 1, 2], [0, 2, 1]]), 20, np.random.default_rng(0))


@pytest.mark.parametrize(("count", "near"), [(0, 0.5), (3, 0.5), (-2, 0.5), (10, 0), (10, 1.5)])
def test_nonsense_is_refused(count, near):
    with pytest.raises(ValueError, match="must be even"):
        sample(*box_mesh(), count, np.random.default_rng(0), near=near)


def test_where_parts_overlap_is_inside():
    first, second = box_mesh((0.5, 0.2, 0.2)), box_mesh((0.2, 0.5, 0.2), (0.1, 0, 0))
    both = np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1] + 8])
    points = np.float32([[0.1, 0, 0], [0.4, 0, 0], [0.1, 0.4, 0], [0.4, 0.4, 0]])
    assert Solid(*both).winding(points).tolist() == [2, 1, 1, 0]
    assert Solid(*both).inside(points).tolist() == [True, True, True, False]


def test_points_on_the_surface_are_spread_by_area():
    points, normals = Solid(*box_mesh((0.1, 0.4, 0.8))).surface(20000, np.random.default_rng(0))
    assert np.abs(np.abs(points) - [0.1, 0.4, 0.8]).min(1).max() < 1e-6
    shares = np.abs(normals).mean(0)
    areas = np.array([0.4 * 0.8, 0.1 * 0.8, 0.1 * 0.4])
    assert shares == pytest.approx(areas / areas.sum(), abs=0.01)
    assert (np.einsum("nd,nd->n", points, normals) > 0).all()


def test_nearest_gives_distance_and_normal():
    distances, normals = Solid(*box_mesh()).nearest(np.float32([[0.5, 0, 0], [0, 0, -0.9]]))
    assert distances == pytest.approx([0.2, 0.2], abs=1e-6)
    np.testing.assert_allclose(normals, [[1, 0, 0], [0, 0, -1]], atol=1e-6)


def test_closed_means_without_a_border():
    faces = box_mesh()[1]
    assert closed(faces) and closed(faces[:, ::-1])
    assert not closed(faces[:-1])
    assert not closed(np.concatenate([faces[:-1], faces[-1:, ::-1]]))


# --- the file -----------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "samples.h5"
    random = np.random.default_rng(0)
    shapes = [
        (f"chair-{i}", random.random((6, 3), np.float32), random.random(6, np.float32))
        for i in range(3)
    ]
    write_samples(path, iter(shapes), {"config": "abc"})
    return path, shapes


def test_samples_come_back(kept):
    path, shapes = kept
    found = read_samples(path)
    assert found.names == [name for name, _, _ in shapes]
    np.testing.assert_array_equal(found.points, [points for _, points, _ in shapes])
    np.testing.assert_array_equal(found.distances, [values for _, _, values in shapes])
    some = read_samples(path, ["chair-2", "chair-0"])
    np.testing.assert_array_equal(some.points, found.points[[2, 0]])


def test_the_same_samples_are_the_same_bytes(kept, tmp_path):
    path, shapes = kept
    write_samples(tmp_path / "again.h5", shapes, {"config": "abc"})
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_a_damaged_shape_is_named_and_the_others_can_be_read(kept):
    path, _ = kept
    with h5py.File(path, "a") as file:
        file["distances"][1, 2] += 1
    with pytest.raises(DataError, match="'chair-1' does not match its digest"):
        read_samples(path)
    assert read_samples(path, ["chair-0", "chair-2"]).names == ["chair-0", "chair-2"]


def test_datasets_of_different_lengths_are_refused(kept):
    path, _ = kept
    with h5py.File(path, "a") as file:
        del file["digests"]
        file["digests"] = np.array([b"a"])
    with pytest.raises(DataError, match="its datasets differ in length"):
        read_samples(path)


def test_what_is_missing_is_named(kept, tmp_path):
    path, _ = kept
    with pytest.raises(DataError, match="no shape 'stool'"):
        read_samples(path, ["chair-0", "stool"])
    with pytest.raises(DataError, match="no such file"):
        read_samples(tmp_path / "none.h5")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="damaged or not a file of samples"):
        read_samples(path)
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(DataError, match="attribute type is missing"):
        read_samples(tmp_path / "other.h5")


def test_shapes_that_do_not_fit_together_leave_no_file(tmp_path):
    path, points = tmp_path / "samples.h5", np.zeros((4, 3))
    with pytest.raises(ValueError, match="'a' comes twice"):
        write_samples(path, [("a", points, np.zeros(4)), ("a", points, np.zeros(4))])
    with pytest.raises(ValueError, match=r"'b' has points \(2, 3\)"):
        write_samples(path, [("a", points, np.zeros(4)), ("b", points[:2], np.zeros(2))])
    assert not path.exists()

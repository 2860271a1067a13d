"""Chairs and meshes: what is generated is sound, what is read is normalised, mended or refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.data import chairs


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Volume inside a closed mesh; negative where normals look inwards."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    return float(np.sum(a * np.cross(b, c)) / 6)


def edges_pair_up(faces: np.ndarray) -> bool:
    """Every edge belongs to two triangles, which walk it in opposite directions."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there = {tuple(edge) for edge in edges.tolist()}
    return len(there) == len(edges) and all((b, a) in there for a, b in there)


def pieces(count: int, faces: np.ndarray) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(faces)), (faces[:, 0], faces[:, 1])), (count, count))
    more = coo_array((np.ones(len(faces)), (faces[:, 1], faces[:, 2])), (count, count))
    return connected_components(graph + more, directed=False)[0]


CHAIRS = {
    "plain": dict(seat="square", back="solid", legs="four", arms=False, stretchers=False),
    "slats": dict(seat="square", back="slats", legs="four", arms=True, stretchers=True),
    "ladder": dict(seat="round", back="ladder", legs="pedestal", arms=True),
    "spindles": dict(seat="round", back="spindles", legs="four", stretchers=True),
    "rocker": dict(seat="square", back="spindles", legs="rockers", arms=True, stretchers=True),
}


@pytest.mark.parametrize("kind", CHAIRS)
@pytest.mark.parametrize("seed", range(2))
def test_a_chair_is_one_closed_surface(kind, seed):
    parameters = replace(chairs.draw(np.random.default_rng(seed)), **CHAIRS[kind])
    vertices, faces = chairs.chair(parameters)
    assert vertices.dtype == np.float32 and faces.dtype == np.int32
    assert edges_pair_up(faces)
    assert pieces(len(vertices), faces) == 1
    assert 0.01 < volume(vertices, faces) < 0.2  # cubic metres of wood


def test_a_chair_has_the_measures_asked_for():
    parameters = replace(
        chairs.draw(np.random.default_rng(0)), **CHAIRS["plain"], back_lean=0.0, leg_splay=0.0
    )
    vertices, _ = chairs.chair(parameters)
    size = vertices.max(0) - vertices.min(0)
    height = parameters.seat_height + parameters.back_height
    expected = parameters.seat_width, parameters.seat_depth, height
    assert size == pytest.approx(expected, abs=0.01)


def test_arms_rockers_and_bars_are_there_when_asked_for():
    def wood(**changes) -> float:
        return volume(*chairs.chair(replace(plain, **changes)))

    plain = replace(chairs.draw(np.random.default_rng(1)), **CHAIRS["plain"])
    assert wood(arms=True) > wood()
    assert wood(stretchers=True) > wood()
    assert wood(back="slats") < wood()
    assert wood(back="ladder", bars=4) > wood(back="ladder", bars=2)


def test_chairs_depend_on_their_seed_alone():
    first, again = (chairs.draw(np.random.default_rng(7)) for _ in range(2))
    assert first == again != chairs.draw(np.random.default_rng(8))
    for one, other in zip(chairs.chair(first), chairs.chair(again), strict=True):
        np.testing.assert_array_equal(one, other)

"""Meshes of many fields at once, evaluated coarse to fine and only near their surfaces.

A cell is left out when the field at its centre is further from zero than it can change on the way
to a corner: than `L` times that way. Where no point p of a left-out cell with centre c breaks
`|f(p) - f(c)| <= L * |p - c|`, it holds no surface, and the mesh is the one of the whole grid,
triangle for triangle. L is given, or taken to be `MARGIN` times the steepest way from centre to
corner among cells that are tried: for each size of cells and each region anew, as fields are often
steep only far off, or in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Values `[k, n]` of the fields numbered `which [k]` at `points [k, n, 3]`; negative is inside."""

COARSEST = 16  # grid steps along an edge of the first cells
BATCH = 1 << 16  # points handed to the fields at once, all fields together
PROBES, SPARSEST = 4096, 16  # cells that are tried: all up to so many, at least one in 16
REGION = 4096  # cells whose steepness is taken together; children stay beside each other
MARGIN = 1.5
EIGHT = np.indices((2, 2, 2)).reshape(3, 8).T
TINY = 1e-7  # instead of a zero, which makes triangles without area, and outside at the border


class Meshed(NamedTuple):
    """Vertices `[V, 3]` and triangles `[F, 3]` of one field, and what they took to find."""

    vertices: np.ndarray
    faces: np.ndarray
    evaluations: int


def mesh(
    field: Field,
    count: int,
    resolution: int = 128,
    *,
    lipschitz: Sequence[float] | None = None,
    group: int = 16,
) -> Iterator[Meshed]:
    """Zero sets of `count` fields in [-1, 1]^3, on `resolution` cells along each side.

    Meshes are closed: whatever lies at the border of the box counts as outside, and so does a
    value that is not a number. A field without a surface gives a mesh without vertices.

    Args:
        lipschitz: a bound L on the steepness of each field; estimated if left out.
        group: fields evaluated side by side; each takes a byte per grid point.
    """
    for first in range(0, count, group):
        which = np.arange(first, min(first + group, count))
        bounds = None if lipschitz is None else np.asarray(lipschitz, np.float64)[which]
        grids, evaluations = _sparse(field, which, resolution, bounds)
        for grid, number in zip(grids, evaluations, strict=True):
            yield Meshed(*surface(grid), int(number))


def dense(field: Field, count: int, resolution: int = 128) -> Iterator[Meshed]:
    """The same meshes from every point of the grid: what `mesh` is measured against."""
    side = resolution + 1
    points = _points(_places(np.arange(side**3), side), resolution)
    for index in range(count):
        grid = _evaluated(field, np.array([index]), [points])[0].reshape(side, side, side)
        yield Meshed(*surface(grid), side**3)


def surface(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zero set of values `[N+1, N+1, N+1]` on the grid over [-1, 1]^3, closed at its border."""
    from skimage.measure import marching_cubes

    values = np.nan_to_num(grid, nan=1.0)
    values[values == 0] = TINY
    for axis in range(3):
        ends = np.moveaxis(values, axis, 0)
        ends[[0, -1]] = np.maximum(ends[[0, -1]], TINY)
    if values.min() > 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    vertices, faces, _, _ = marching_cubes(values, 0.0)
    scale = 2 / (len(grid) - 1)
    return (vertices * scale - 1).astype(np.float32), faces.astype(np.int32)


def _sparse(
    field: Field, which: np.ndarray, resolution: int, lipschitz: np.ndarray | None
) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Grids of values, right in sign everywhere and in value wherever a mesh looks."""
    stride = min(resolution & -resolution, COARSEST)
    side = resolution // stride
    cells = [np.arange(side**3)] * len(which)
    signs = [np.ones((side,) * 3, np.int8) for _ in which]
    evaluations = np.zeros(len(which), np.int64)
    while stride > 1:
        places = [_places(own, side) for own in cells]
        centres = [_points((own + 0.5) * stride, resolution) for own in places]
        found = _evaluated(field, which, centres)
        evaluations += [len(values) for values in found]
        if lipschitz is None:
            bounds, more = _changes(field, which, places, found, stride, resolution)
            evaluations += more
        else:
            bounds = list(lipschitz * stride * np.sqrt(3) / resolution)
        for index, values in enumerate(found):
            signs[index].reshape(-1)[cells[index]] = np.where(values < 0, -1, 1)
            edge = ((places[index] == 0) | (places[index] == side - 1)).any(1)
            near = ~(np.abs(values) > bounds[index]) | (edge & (values < 0))
            cells[index] = _children(places[index][near])
            cells[index] = np.ravel_multi_index(cells[index].T, (2 * side,) * 3)
            signs[index] = _doubled(signs[index])
        stride, side = stride // 2, side * 2
    corners = [_corners(_places(own, side), side + 1) for own in cells]
    points = [_points(_places(own, side + 1), resolution) for own in corners]
    values = _evaluated(field, which, points)

    def grids() -> Iterator[np.ndarray]:
        for sign, corner, value in zip(signs, corners, values, strict=True):
            grid = np.pad(sign, (0, 1), "edge").astype(np.float32)
            grid.reshape(-1)[corner] = value
            yield grid

    return grids(), evaluations + [len(own) for own in corners]


def _changes(
    field: Field,
    which: np.ndarray,
    places: Sequence[np.ndarray],
    centres: Sequence[np.ndarray],
    stride: int,
    resolution: int,
) -> tuple[list[np.ndarray], list[int]]:
    """By how much fields can change from the centre of a cell to a corner, by trying some cells.

    Args:
        places: of the cells of each field.
        centres: values at their centres.

    Returns:
        Bounds for the cells of each field, and the numbers of evaluations.
    """
    steps = [int(np.clip(len(own) // PROBES, 1, SPARSEST)) for own in places]
    tried = [np.arange(0, len(own), step) for own, step in zip(places, steps, strict=True)]
    corners = [
        _points((own[at] + EIGHT[own[at] @ (1, 3, 5) % 8]) * stride, resolution)
        for own, at in zip(places, tried, strict=True)
    ]
    found = _evaluated(field, which, corners)
    bounds = []
    for own, values, centre, at in zip(places, found, centres, tried, strict=True):
        starts = np.searchsorted(at, np.arange(0, len(own), REGION))
        starts = np.minimum(starts, len(at) - 1)
        steepest = np.maximum.reduceat(np.abs(values - centre[at]), starts) if len(at) else values
        bounds.append(MARGIN * np.repeat(steepest, REGION)[: len(own)])
    return bounds, [len(values) for values in found]


def _evaluated(field: Field, which: np.ndarray, points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Values at each field's own points, batched over the fields that have points left."""
    values = [np.empty(len(own), np.float32) for own in points]
    at, lengths = 0, np.array([len(own) for own in points])
    while (left := np.flatnonzero(lengths > at)).size:
        width = min(max(BATCH // left.size, 1), int(lengths[left].max()) - at)
        batch = np.zeros((left.size, width, 3), np.float32)
        for row, index in enumerate(left):
            own = points[index][at : at + width]
            batch[row, : len(own)] = own
        found = field(which[left], batch)
        for row, index in enumerate(left):
            values[index][at : at + width] = found[row, : lengths[index] - at]
        at += width
    return values


def _places(numbers: np.ndarray, side: int) -> np.ndarray:
    """Integer coordinates `[n, 3]` of places numbered in C order in a cube of `side` places."""
    return np.stack(np.unravel_index(numbers, (side, side, side)), axis=-1)


def _points(places: np.ndarray, resolution: int) -> np.ndarray:
    """Coordinates in [-1, 1]^3 of grid places `[n, 3]`, which may lie between grid points."""
    return (places * (2 / resolution) - 1).astype(np.float32)


def _children(places: np.ndarray) -> np.ndarray:
    return (2 * places[:, None] + EIGHT).reshape(-1, 3)


def _corners(places: np.ndarray, side: int) -> np.ndarray:
    """Numbers of the grid points around cells, each once and in order."""
    wanted = np.zeros((side,) * 3, bool)
    for offset in EIGHT:
        wanted[tuple((places + offset).T)] = True
    return np.flatnonzero(wanted)


def _doubled(cube: np.ndarray) -> np.ndarray:
    for axis in range(3):
        cube = np.repeat(cube, 2, axis)
    return cube

"""Procedural chairs: shapes that need no download, meshed and then treated as anybody's meshes.

A chair is a union of beams (a seat, a leg and a slat are all beams), and its mesh the zero set of
the union's field, found on a grid by marching cubes: closed and without parts inside of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SEATS = ("square", "round")
BACKS = ("solid", "slats", "ladder", "spindles")
LEGS = ("four", "pedestal", "rockers")
RESOLUTION = 64  # cells along the longest side of a chair
ROUNDING = 0.008  # metres taken off the edges of square beams
MARGIN = 2  # cells around a beam in which its field is found


@dataclass(frozen=True)
class ChairParameters:
    """What a chair is: lengths in metres, angles in radians; z points up, the sitter faces -y."""

    seat_width: float
    seat_depth: float
    seat_height: float
    seat_thickness: float
    seat: str
    back_height: float
    back_lean: float
    back_thickness: float
    back: str
    bars: int
    legs: str
    leg_thickness: float
    leg_splay: float
    round_legs: bool
    stretchers: bool
    arms: bool
    arm_height: float


class Beam(NamedTuple):
    """A straight bar from `start` to `end`; `widths` are full widths across: sideways, then other.

    The cross-section is a rectangle with rounded edges, or an ellipse.
    """

    start: np.ndarray
    end: np.ndarray
    widths: tuple[float, float]
    round: bool = False


def draw(rng: np.random.Generator) -> ChairParameters:
    """Parameters of a random chair: twelve numbers and choices, each from its own range."""
    between, yes = rng.uniform, lambda chance: bool(rng.random() < chance)
    return ChairParameters(
        seat_width=between(0.42, 0.62),
        seat_depth=between(0.40, 0.56),
        seat_height=between(0.36, 0.52),
        seat_thickness=between(0.05, 0.11),
        seat=str(rng.choice(SEATS, p=(0.75, 0.25))),
        back_height=between(0.34, 0.62),
        back_lean=between(0.0, 0.28),
        back_thickness=between(0.045, 0.08),
        back=str(rng.choice(BACKS, p=(0.4, 0.2, 0.2, 0.2))),
        bars=int(rng.integers(2, 5)),
        legs=str(rng.choice(LEGS, p=(0.6, 0.2, 0.2))),
        leg_thickness=between(0.045, 0.08),
        leg_splay=between(0.0, 0.07),
        round_legs=yes(0.4),
        stretchers=yes(0.3),
        arms=yes(0.4),
        arm_height=between(0.16, 0.26),
    )


def chair(
    parameters: ChairParameters, resolution: int = RESOLUTION
) -> tuple[np.ndarray, np.ndarray]:
    """Mesh of a chair: vertices `[V, 3]` float32 in metres, triangles `[F, 3]` int32.

    Watertight, normals outwards. `resolution` counts grid cells along the longest side.
    """
    from skimage.measure import marching_cubes

    beams = list(_beams(parameters))
    corners = np.concatenate([_corners(beam) for beam in beams])
    low, high = corners.min(0), corners.max(0)
    cell = (high - low).max() / resolution
    low = low - (MARGIN + 0.5) * cell  # half a cell: no flat side lies on grid points
    shape = np.ceil((high - low) / cell).astype(int) + MARGIN + 2
    field = np.full(shape, MARGIN * cell, np.float64)
    for beam in beams:
        corners = (_corners(beam) - low) / cell
        first = np.maximum(np.floor(corners.min(0)).astype(int) - MARGIN, 0)
        last = np.minimum(np.ceil(corners.max(0)).astype(int) + MARGIN + 1, shape)
        at = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        axes = (low[i] + cell * np.arange(first[i], last[i]) for i in range(3))
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        field[at] = np.minimum(field[at], distance(beam, points))
    field[field == 0] = 1e-9 * cell  # a surface through a grid point makes triangles without area
    vertices, faces, _, _ = marching_cubes(field, 0.0, gradient_direction="descent")
    return (low + cell * vertices).astype(np.float32), faces.astype(np.int32)


def distance(beam: Beam, points: np.ndarray) -> np.ndarray:
    """Field of a beam at `points [..., 3]`: zero on its surface, negative inside.

    Signed distance, but for elliptic beams, where it is a lower bound of it.
    """
    along, length = _axis(beam)
    side, other = _across(along)
    centred = points - (beam.start + beam.end) / 2
    t = np.abs(centred @ along) - length / 2
    u, v = np.abs(centred @ side), np.abs(centred @ other)
    a, b = beam.widths[0] / 2, beam.widths[1] / 2
    if beam.round:
        return _joined(t, (np.hypot(u / a, v / b) - 1) * min(a, b))
    r = ROUNDING
    return _joined(t + r, u - a + r, v - b + r) - r


def _joined(*sides: np.ndarray) -> np.ndarray:
    """Distance to the body that lies inside of all sides, which are square to each other."""
    outside = np.sqrt(sum(np.maximum(side, 0) ** 2 for side in sides))
    return outside + np.minimum(np.maximum.reduce(sides), 0)


def _axis(beam: Beam) -> tuple[np.ndarray, float]:
    vector = beam.end - beam.start
    length = float(np.linalg.norm(vector))
    return vector / length, length


def _across(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two directions across a beam; the first is x where the beam does not run along x."""
    start = np.array([0.0, 1.0, 0.0] if abs(along[0]) > 0.9 else [1.0, 0.0, 0.0])
    side = start - (start @ along) * along
    side /= np.linalg.norm(side)
    return side, np.cross(along, side)


def _corners(beam: Beam) -> np.ndarray:
    side, other = _across(_axis(beam)[0])
    a, b = beam.widths
    across = [(i * a * side + j * b * other) / 2 for i in (-1, 1) for j in (-1, 1)]
    return np.array([end + offset for end in (beam.start, beam.end) for offset in across])


def _beams(p: ChairParameters) -> Iterator[Beam]:
    top = p.seat_height
    bottom = top - p.seat_thickness
    yield Beam(_at(0, 0, bottom), _at(0, 0, top), (p.seat_width, p.seat_depth), p.seat == "round")
    yield from _legs(p, bottom + p.seat_thickness / 2)
    yield from _back(p)
    if p.arms:
        yield from _arms(p)


def _legs(p: ChairParameters, top: float) -> Iterator[Beam]:
    thick = (p.leg_thickness, p.leg_thickness)
    floor = 0.07 if p.legs == "rockers" else 0.0
    if p.legs == "pedestal":
        yield Beam(_at(0, 0, p.leg_thickness / 2), _at(0, 0, top), (0.09, 0.09), True)
        reach = 0.48 * min(p.seat_width, p.seat_depth) + p.leg_splay
        for angle in np.pi / 4 + np.arange(4) * np.pi / 2:
            foot = _at(reach * np.cos(angle), reach * np.sin(angle), p.leg_thickness / 2)
            yield Beam(_at(0, 0, p.leg_thickness / 2), foot, thick, p.round_legs)
        return
    inset = 0.36 if p.seat == "round" else 0.5
    x = inset * p.seat_width - p.leg_thickness / 2
    y = inset * p.seat_depth - p.leg_thickness / 2
    feet = {}
    for i in (-1, 1):
        for j in (-1, 1):
            feet[i, j] = _at(i * (x + p.leg_splay), j * (y + p.leg_splay), floor)
            yield Beam(feet[i, j], _at(i * x, j * y, top), thick, p.round_legs)
    if p.stretchers:
        up, thin = 0.3 * (top - floor), (0.8 * p.leg_thickness, 0.8 * p.leg_thickness)
        inner = 1 - 0.3 * p.leg_splay / (x + p.leg_splay)
        rail = {key: foot * (inner, inner, 1) + _at(0, 0, up) for key, foot in feet.items()}
        for i in (-1, 1):
            yield Beam(rail[i, -1], rail[i, 1], thin, p.round_legs)
        yield Beam((rail[-1, -1] + rail[-1, 1]) / 2, (rail[1, -1] + rail[1, 1]) / 2, thin)
    if p.legs == "rockers":
        for i in (-1, 1):
            yield from _rocker(i * (x + p.leg_splay), 1.5 * (y + p.leg_splay), floor, thick)


def _rocker(x: float, reach: float, height: float, widths: tuple[float, float]) -> Iterator[Beam]:
    along = np.linspace(-reach, reach, 9)
    rise = height * (along / reach * 1.5) ** 2  # passes under the feet at their height
    points = [_at(x, y, z) for y, z in zip(along, rise, strict=True)]
    for start, end in zip(points, points[1:], strict=False):
        over = 0.25 * widths[1] * (end - start) / np.linalg.norm(end - start)
        yield Beam(start - over, end + over, widths)


def _back(p: ChairParameters) -> Iterator[Beam]:
    """A panel, or two posts with a rail on top and bars between them."""
    depth = 0.42 if p.seat == "round" else 0.5
    low = _at(0, depth * p.seat_depth - p.back_thickness / 2, p.seat_height - p.seat_thickness / 2)
    up = _at(0, np.sin(p.back_lean), np.cos(p.back_lean)) * (p.back_height + p.seat_thickness / 2)
    width = (0.8 if p.seat == "round" else 1.0) * p.seat_width
    if p.back == "solid":
        yield Beam(low, low + up, (width, p.back_thickness))
        return
    post = p.back_thickness
    side = _at((width - post) / 2, 0, 0)
    for i in (-1, 1):
        yield Beam(low + i * side, low + i * side + up, (post, post), p.round_legs)
    rail = low + 0.92 * up
    yield Beam(rail - side, rail + side, (post, 0.16 * p.back_height))
    if p.back == "ladder":
        for share in np.linspace(0.3, 0.92, p.bars + 1)[:-1]:
            middle = low + share * up
            yield Beam(middle - side, middle + side, (0.8 * post, 0.1 * p.back_height))
        return
    for share in np.linspace(-1, 1, p.bars + 2)[1:-1]:
        thin = 0.045 if p.back == "spindles" else 0.4 * (width - 2 * post) / p.bars
        foot = low + share * side
        yield Beam(foot, foot + 0.95 * up, (thin, 0.045), p.back == "spindles")


def _arms(p: ChairParameters) -> Iterator[Beam]:
    thick = 0.05
    x = 0.5 * p.seat_width - thick / 2
    if p.seat == "round":
        x *= 0.8
    height = p.seat_height + p.arm_height
    front = _at(0, -0.2 * p.seat_depth, 0)
    depth = (0.42 if p.seat == "round" else 0.5) * p.seat_depth - p.back_thickness / 2
    rear = _at(0, depth + np.tan(p.back_lean) * p.arm_height, 0)
    for i in (-1, 1):
        at = _at(i * x, 0, height)
        yield Beam(at + rear, at + front - _at(0, thick / 2, 0), (thick, thick))
        seat = _at(i * x, 0, p.seat_height - p.seat_thickness / 2)
        yield Beam(seat + front, at + front, (thick, thick))


def _at(x: float, y: float, z: float) -> np.ndarray:
    return np.array([x, y, z], dtype=np.float64)

"""Samples of signed distances to meshes, and the HDF5 file that holds those of many shapes.

As DeepSDF (Park et al. 2019) takes them: most of them near the surface, on several scales, some
anywhere. Half of them are inside, as in Learning the Space of Deep Models (supplement).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from lib.core.atomic import atomic_hdf5
from lib.core.repro import digest_arrays
from lib.core.untrusted import plain_attribute, plain_dataset
from lib.data.archive import DataError
from lib.data.solid import Solid

SCALES = (0.005, 0.02, 0.07)  # standard deviations of the ways from the surface
ROUNDS = 20  # of proposals, until enough lie on the wanted side
TYPE, VERSION = "signed-distance-samples", 3
DATASETS = ("names", "digests", "points", "distances")
DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    MemoryError,
)


class Samples(NamedTuple):
    """Samples of n shapes: names, points `[n, S, 3]` and signed distances `[n, S]`, float32."""

    names: list[str]
    points: np.ndarray
    distances: np.ndarray


def sample(
    vertices: np.ndarray,
    faces: np.ndarray,
    count: int,
    rng: np.random.Generator,
    *,
    near: float = 0.5,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Points `[count, 3]` around a closed mesh in [-1, 1]^3 and their signed distances `[count]`.

    Points inside (negative) and outside take turns, so that any slice of even length has as many
    of both; beyond that their order is random. The share `near` of each lies by the surface, as
    much on each of `SCALES`; the rest is uniform: outside over the box, inside over the body.
    Where a body is too thin for that, points on the finest scale take the place of the rest.

    Raises:
        DataError: no point inside, or none outside, can be found.
        ValueError: `count` is not an even number above 0, or `near` not in (0, 1].
    """
    if count <= 0 or count % 2 or not 0 < near <= 1:
        raise ValueError(f"count {count} must be even and above 0, near {near} in (0, 1]")
    solid = Solid(vertices, faces, threads)
    taken = [_side(solid, count // 2, inside, near, rng) for inside in (True, False)]
    points = np.stack([rng.permutation(own) for own in taken], axis=1).reshape(count, 3)
    signs = np.tile(np.float32([-1, 1]), count // 2)
    return points, signs * solid.distance(points)


def _side(
    solid: Solid, count: int, inside: bool, near: float, rng: np.random.Generator
) -> np.ndarray:
    box = (solid.vertices.min(0), solid.vertices.max(0)) if inside else (-1.0, 1.0)

    def uniform(number: int) -> np.ndarray:
        return rng.uniform(*box, (number, 3))

    def beside(scale: float):
        def propose(number: int) -> np.ndarray:
            points, _ = solid.surface(number, rng)
            return points + scale * rng.standard_normal((number, 3))

        return propose

    ends = np.rint(count * near * np.arange(1, len(SCALES) + 1) / len(SCALES)).astype(int)
    wanted = np.diff([0, *ends, count])
    proposals = [*(beside(scale) for scale in SCALES), uniform]
    found = [
        _until(solid, propose, number, inside)
        for propose, number in zip(proposals, wanted, strict=True)
    ]
    found.append(_until(solid, proposals[0], count - sum(map(len, found)), inside))
    if (have := sum(map(len, found))) < count:
        side = "inside" if inside else "outside"
        raise DataError(f"of {count} points {side} of the mesh only {have} were found")
    return np.concatenate(found)


def _until(solid: Solid, propose, wanted: int, inside: bool) -> np.ndarray:
    """At most `wanted` proposed points of one side; fewer after `ROUNDS` attempts."""
    found = np.zeros((0, 3), np.float32)
    for _ in range(ROUNDS):
        if len(found) >= wanted:
            break
        points = propose(2 * wanted).astype(np.float32)
        found = np.concatenate([found, points[solid.inside(points) == inside]])
    return found[:wanted]


def write_samples(
    path: str | Path,
    samples: Iterable[tuple[str, np.ndarray, np.ndarray]],
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write `(name, points [S, 3], distances [S])` of shapes, one after another, as they come.

    Each shape has its own digest; `provenance` is kept as attributes of the file.

    Raises:
        ValueError: a name comes twice, or the shapes have different numbers of samples.
    """
    names: list[str] = []
    digests: list[str] = []
    version = ("v108", "v108")  # whose metadata have checksums
    with atomic_hdf5(path, libver=version) as file:
        for name, points, distances in samples:
            arrays = {"points": np.float32(points), "distances": np.float32(distances)}
            if name in names:
                raise ValueError(f"shape {name!r} comes twice")
            for key, array in arrays.items():
                if not names:
                    file.create_dataset(
                        key, (0, *array.shape), np.float32, maxshape=(None, *array.shape)
                    )
                if array.shape != file[key].shape[1:]:
                    raise ValueError(
                        f"shape {name!r} has {key} {array.shape}, those before "
                        f"{file[key].shape[1:]}"
                    )
                file[key].resize(len(names) + 1, axis=0)
                file[key][-1] = array
            names.append(name)
            digests.append(_digest(name, **arrays))
        for key, texts in (("names", names), ("digests", digests)):
            file.create_dataset(key, data=np.array([text.encode() for text in texts], bytes))
        said = {"type": TYPE, **(provenance or {})}
        file.attrs.update({name: np.bytes_(text.encode()) for name, text in said.items()})
        file.attrs["version"] = VERSION


def _digest(name: str, points: np.ndarray, distances: np.ndarray) -> str:
    """SHA-256 (hex) of a shape's name and samples."""
    return digest_arrays({f"{name}/points": points, f"{name}/distances": distances})


def read_samples(path: str | Path, names: Sequence[str] | None = None) -> Samples:
    """The samples of the named shapes in their order (all of them if left out), checked.

    Raises:
        DataError: no such file, another kind of file, a shape that is not in it, or one whose
            samples do not match their digest.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; sample the shapes first")
    try:
        with h5py.File(path, "r", locking=False) as file:
            size = path.stat().st_size
            kind = tuple(plain_attribute(file, name, size) for name in ("type", "version"))
            if kind != (TYPE, VERSION):
                raise DataError(f"{path} is of type and version {kind}, expected {(TYPE, VERSION)}")
            data = {name: plain_dataset(file, name, size) for name in DATASETS}
            if len({len(found) for found in data.values()}) > 1:
                raise DataError(f"{path} is damaged: its datasets differ in length")
            known = [name.decode() for name in data["names"][()]]
            digests = [digest.decode() for digest in data["digests"][()]]
            names = known if names is None else list(names)
            missing = sorted(set(names) - set(known))
            if missing:
                raise DataError(
                    f"{path} has no shape {missing[0]!r}, it has {len(known)}, such as {known[:3]}"
                )
            rows = [known.index(name) for name in names]
            points = np.empty((len(rows), *data["points"].shape[1:]), np.float32)
            distances = np.empty((len(rows), *data["distances"].shape[1:]), np.float32)
            for at, row in enumerate(rows):
                points[at], distances[at] = data["points"][row], data["distances"][row]
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"{path} is damaged or not a file of samples: {error}") from None
    for name, row, own, values in zip(names, rows, points, distances, strict=True):
        if _digest(name, own, values) != digests[row]:
            raise DataError(
                f"{path} is damaged: shape {name!r} does not match its digest; remove the file "
                "and sample the shapes again"
            )
    return Samples(names, points, distances)

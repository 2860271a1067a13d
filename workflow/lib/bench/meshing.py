"""`python -m lib.bench.meshing`: meshes coarse to fine, against the whole grid at the same size.

The fields are SIRENs trained here on procedural chairs. Both ways evaluate the same networks on the
same cells in the same run, one after the other, and end in the same marching cubes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lib.bench.machine import cpu_name
from lib.config import FieldTraining
from lib.core.atomic import atomic
from lib.core.streams import Stream
from lib.data import chairs, meshing, sdf
from lib.data.meshes import normalised
from lib.engine import ensemble
from lib.engine.training.fields import train_fields
from lib.nets import build_field

SAMPLES, NEAR, OMEGA = 20_000, 0.8, 30.0
# Widths, how they are trained, how many of them.
SUBJECTS = (
    ((48, 48), FieldTraining(steps=4000), 4),
    ((256, 256), FieldTraining(steps=2000, learning_rate=3e-4, decay=0.9), 1),
)


@dataclass(frozen=True)
class Measurement:
    """Meshing all networks of a subject at one resolution.

    Attributes:
        evaluations: values of a field taken for one network's mesh, on average.
        baseline_evaluations: the same of the whole grid; their ratio is `ratio`.
        seconds: for one network's mesh, marching cubes included.
        same_triangles: in how many networks the triangles are the very same.
        largest_difference: of a coordinate of a vertex in those, from rounding.
    """

    subject: str
    networks: int
    resolution: int
    evaluations: float
    baseline: str
    baseline_evaluations: float
    ratio: float
    seconds: float
    baseline_seconds: float
    ratio_of_seconds: float
    same_triangles: int
    largest_difference: float
    threads: int
    cpu: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m lib.bench.meshing", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small networks alone, and one of them"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = []
    for widths, training, count in SUBJECTS[:1] if options.quick else SUBJECTS:
        field, count = trained(widths, training, 1 if options.quick else count)
        for resolution in (128, 256):
            found.append(
                compare(f"SIREN 3-{'-'.join(map(str, widths))}-1", field, count, resolution)
            )
            print(line(found[-1]), flush=True)
    if options.out:
        with atomic(options.out) as temporary:
            temporary.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    return 0


def trained(
    widths: Sequence[int], training: FieldTraining, count: int
) -> tuple[meshing.Field, int]:
    """Fields of the first `count` procedural chairs, and their number."""
    samples = []
    for number in range(count):
        rng = Stream("bench", "chair", number).numpy()
        vertices, faces = chairs.chair(chairs.draw(rng))
        samples.append(sdf.sample(normalised(vertices), faces, SAMPLES, rng, near=NEAR))
    points, distances = (np.stack(part) for part in zip(*samples, strict=True))

    def build() -> torch.nn.Module:
        return build_field("SIREN", widths, OMEGA)

    streams = [Stream("bench", "meshing", number) for number in range(count)]
    stack, net = train_fields(build, streams, training, points, distances).stack, build()

    @torch.inference_mode()
    def field(which: np.ndarray, points: np.ndarray) -> np.ndarray:
        chosen = ensemble.select(stack, torch.from_numpy(which))
        return ensemble.run(net, chosen, torch.from_numpy(points))[..., 0].numpy()

    return field, count


def compare(subject: str, field: meshing.Field, count: int, resolution: int) -> Measurement:
    """Mesh `count` fields coarse to fine, and then from the whole grid."""
    # One at a time like the baseline: in other batches torch may round the last bit otherwise.
    ours, seconds = _timed(lambda: meshing.mesh(field, count, resolution, group=1))
    plain, plain_seconds = _timed(lambda: meshing.dense(field, count, resolution))
    pairs = list(zip(ours, plain, strict=True))
    alike = [(one, other) for one, other in pairs if np.array_equal(one.faces, other.faces)]
    evaluations, baseline = (
        float(np.mean([mesh.evaluations for mesh in meshes])) for meshes in (ours, plain)
    )
    return Measurement(
        subject=f"{subject} of a procedural chair",
        networks=count,
        resolution=resolution,
        evaluations=evaluations,
        baseline="every point of the grid",
        baseline_evaluations=baseline,
        ratio=baseline / evaluations,
        seconds=seconds / count,
        baseline_seconds=plain_seconds / count,
        ratio_of_seconds=plain_seconds / seconds,
        same_triangles=len(alike),
        largest_difference=max(
            (float(np.abs(one.vertices - other.vertices).max(initial=0)) for one, other in alike),
            default=0.0,
        ),
        threads=torch.get_num_threads(),
        cpu=cpu_name(),
    )


def line(found: Measurement) -> str:
    """A measurement in words."""
    return (
        f"{found.subject}, {found.resolution}^3 cells: {found.evaluations:,.0f} evaluations, "
        f"{found.ratio:.1f} times fewer than the grid; {found.seconds:.2f} s against "
        f"{found.baseline_seconds:.2f} s; the same triangles in {found.same_triangles} of "
        f"{found.networks}"
    )


def _timed(
    make: Callable[[], Iterable[meshing.Meshed]],
) -> tuple[list[meshing.Meshed], float]:
    start = time.perf_counter()
    return list(make()), time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())

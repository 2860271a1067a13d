"""Shapes from a part of their surface."""

import numpy as np
import pytest
import torch

from lib.config.experiments import Completion
from lib.core.checkpoint import Checkpoint
from lib.core.streams import Stream
from lib.engine.training import fields as field_training
from lib.experiments.columns import FIELDS
from lib.experiments.fields import completion
from lib.experiments.fields.completion import STEP, complete, from_scratch, observe
from lib.experiments.mesh_metrics import Surface
from lib.zoo.fields import family_of, iou
from solids import CUBE, cube
from toy_shapes import CFG, ZOO

pytestmark = pytest.mark.usefixtures("one_thread")


def test_an_observation_is_one_side_of_the_surface():
    box = Surface(cube(1.0), CUBE, "box")
    seen = observe(box, 50, Stream("test"))
    assert np.abs(np.abs(seen.surface).max(1) - 0.5).max() < 1e-5
    assert seen.points.shape == (150, 3)
    outside, inside = seen.distances > 0, seen.distances < 0
    assert (np.abs(seen.points[outside]).max(1) > 0.5).all()
    assert (np.abs(seen.points[inside]).max(1) < 0.5).all()
    assert set(seen.distances.tolist()) == {0.0, np.float32(STEP), -np.float32(STEP)}
    points = box.samples[0]
    assert len(points) > (points @ seen.surface.mean(0) > 0).sum()
    assert np.linalg.norm(seen.surface.mean(0)) > 0.1


def test_a_completed_shape_fits_better_than_where_it_started(boxes):
    embedder, train, _, _ = boxes
    half = np.float32([0.35, 0.45, 0.55])
    box = Surface(2 * half * cube(1.0), CUBE, "box")
    seen = observe(box, 100, Stream("test"))
    points, distances = torch.from_numpy(seen.points), torch.from_numpy(seen.distances)
    decoded = embedder.arm.decode("SIREN", embedder.arm.encode("SIREN", train.flat))
    started = (train.family.run(decoded, points)[..., 0] - distances).square().mean(1).min()
    completed = complete(embedder, train, seen, Completion(), CFG.truncation)[None]
    ended = (train.family.run(completed, points)[..., 0] - distances).square().mean()
    assert ended < started
    cloud = torch.rand(4000, 3) * 2 - 1
    inside = (train.family.run(completed, cloud)[..., 0] < 0)[0]
    truth = (cloud.abs() < torch.from_numpy(half)).all(1)
    assert iou(inside[None], truth[None]).item() > 0.4


def test_completions_of_a_job_that_was_stopped_are_not_done_again(boxes, tmp_path, monkeypatch):
    embedder, train, _, _ = boxes
    seen = observe(Surface(cube(1.0), CUBE, "box"), 100, Stream("test"))

    def work():
        completed = complete(embedder, train, seen, Completion(), CFG.truncation)
        return completed, from_scratch(ZOO, ZOO.training, seen, Stream("test", "scratch"))

    wanted = work()
    with pytest.raises(KeyboardInterrupt), Checkpoint(tmp_path / "job.checkpoint", {}):
        work()
        raise KeyboardInterrupt
    monkeypatch.setattr(torch.optim.Adam, "step", None)
    monkeypatch.setattr(field_training, "_run", None)
    with Checkpoint(tmp_path / "job.checkpoint", {}):
        assert all(a.equal(b) for a, b in zip(work(), wanted, strict=True))


def test_a_field_from_scratch_fits_what_it_is_given():
    seen = observe(Surface(cube(1.0), CUBE, "box"), 100, Stream("test"))
    longer = ZOO.training.model_copy(update={"steps": 1500})
    cfg = ZOO.model_copy(update={"widths": (48, 48), "omega": 30.0})
    flat = from_scratch(cfg, longer, seen, Stream("test", "scratch"))[None]
    outputs = family_of(cfg).run(flat, torch.from_numpy(seen.points))[0, :, 0].numpy()
    off = seen.distances != 0
    right = np.mean((outputs < 0)[off] == (seen.distances < 0)[off])
    assert right > 0.85


def test_every_method_completes_every_shape(field_task):
    task = field_task("completion")
    table = completion.run(task, Completion(points=60, shapes=2, steps=5))
    assert tuple(table.columns) == FIELDS["completion"] and set(table["points"]) == {60}
    assert table["shape"].tolist() == ["test-0", "test-1"] * 3
    assert set(table["method"]) == {"decoded", "completed", "scratch"}
    wanted = {f"{row.method}_{row.shape}" for row in table.itertuples()}
    assert {path.stem for path in task.meshes.glob("*.ply")} == wanted

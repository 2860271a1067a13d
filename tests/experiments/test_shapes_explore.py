"""What is looked at in the space of shapes: walks, new shapes, completion, the map, variants."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.config import ShapeExploration
from lib.core.checkpoint import Checkpoint
from lib.data.meshing import Meshed
from lib.embed.product import Embedder
from lib.engine.training import fields as field_training
from lib.evaluate.mesh_metrics import Surface
from lib.evaluate.shape_ablation import scores
from lib.evaluate.shapes import compared, meshes
from lib.evaluate.variants import of_shapes
from lib.explore.completion import STEP, complete, from_scratch, observe
from lib.explore.shapes import Known, described, latent_map, pairs_of, parts, samples, volume, walks
from lib.zoo.fields import family_of, iou
from lib.zoo.population import Population
from toy_shapes import CFG, FIELD, trained_arm, zoo

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
CUBE = np.array([(a, b, c) for a, *rest in SIDES for b, c in (rest[:2], rest[1:])], np.int32)

pytestmark = pytest.mark.usefixtures("one_thread")


def cube(size, centre=0.0):
    return (CORNERS - 0.5) * size + np.float32(centre)


def population(fields, split):
    names = [f"{split}-{i}" for i in range(len(fields.flat))]
    frame = pd.DataFrame({"shape": names, "split": split, "iou": 0.9})
    return Population(family_of(CFG), frame, fields.flat)


@pytest.fixture(scope="module")
def family():
    """An embedder, its training fields and test fields with their points."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    known, test = zoo(12, 0), zoo(4, 1)
    arm, _ = trained_arm(CFG, known, test)
    torch.set_num_threads(threads)
    card = {"image": [3], "classes": ["distance"], "field": FIELD}
    return Embedder(arm, card), population(known, "train"), population(test, "test"), test


def test_the_volume_of_a_cube_does_not_depend_on_where_it_is():
    assert volume(cube(0.5), CUBE) == pytest.approx(0.125)
    assert volume(cube(0.5, centre=3.0), CUBE) == pytest.approx(0.125, rel=1e-4)


def test_parts_are_counted_by_shared_vertices():
    assert parts(CUBE) == 1
    assert parts(np.concatenate([CUBE, CUBE + 8])) == 2


def test_a_shape_is_nearest_to_itself():
    known = Known([Surface(cube(size), CUBE, str(size)) for size in (0.4, 0.8, 1.2)])
    row = described(Meshed(cube(0.8), CUBE, 0), "copy", known)
    assert row["nearest"] == "0.8"
    assert row["chamfer"] == pytest.approx(0, abs=1e-5)
    nothing = described(Meshed(np.zeros((0, 3)), np.zeros((0, 3), int), 0), "empty", known)
    assert nothing["parts"] == 0
    assert np.isnan(nothing["chamfer"])


def test_pairs_are_far_apart_and_share_no_shape():
    latents = torch.tensor([[0.0], [1.0], [5.0], [7.0]])
    assert pairs_of(latents, 2) == [(0, 3), (1, 2)]
    assert len(pairs_of(latents, 9)) == 2


def test_walks_begin_and_end_at_their_shapes(family):
    embedder, _, test, _ = family
    cfg = ShapeExploration(points=3, pairs=1)
    found = list(walks(embedder, cfg, test))
    assert [row["gamma"] for row, _ in found] == [0, 0, 0.5, 0.5, 1, 1]
    first = test.frame["shape"].tolist().index(found[0][0]["first"])
    last = test.frame["shape"].tolist().index(found[0][0]["last"])
    flat = {(row["method"], row["gamma"]): field for row, field in found}
    assert torch.equal(flat["weights", 0.0], test.flat[first])
    assert torch.equal(flat["weights", 1.0], test.flat[last])
    assert torch.allclose(flat["weights", 0.5], test.flat[[first, last]].mean(0), atol=1e-6)
    decoded = embedder.arm.decode("SIREN", embedder.arm.encode("SIREN", test.flat))
    assert torch.allclose(flat["latent", 0.0], decoded[first], atol=1e-5)


def test_new_shapes_are_drawn_by_name(family):
    embedder, train, _, _ = family
    first, again = (samples(embedder, ("test", "new"), 3, train) for _ in range(2))
    other = samples(embedder, ("test", "other"), 3, train)
    assert torch.equal(first["latent"], again["latent"])
    assert not torch.equal(first["latent"], other["latent"])
    assert all(len(mesh.faces) for mesh in meshes(train.family, first["latent"], 16))


def test_the_map_is_that_of_the_training_latents(family):
    embedder, train, test, _ = family
    found = latent_map(embedder, [train, test], 3)
    assert found["shape"].tolist() == [*train.frame["shape"], *test.frame["shape"]]
    assert found.loc[found["split"] == "train", ["x", "y"]].mean().abs().max() < 1e-5
    assert (found["seed"] == 3).all()


def test_an_observation_is_one_side_of_the_surface():
    box = Surface(cube(1.0), CUBE, "box")
    seen = observe(box, 50, ("test",))
    assert np.abs(np.abs(seen.surface).max(1) - 0.5).max() < 1e-5
    assert seen.points.shape == (150, 3)
    outside, inside = seen.distances > 0, seen.distances < 0
    assert (np.abs(seen.points[outside]).max(1) > 0.5).all()
    assert (np.abs(seen.points[inside]).max(1) < 0.5).all()
    assert set(seen.distances.tolist()) == {0.0, np.float32(STEP), -np.float32(STEP)}
    points = box.samples[0]
    assert len(points) > (points @ seen.surface.mean(0) > 0).sum()
    assert np.linalg.norm(seen.surface.mean(0)) > 0.1


def test_a_completed_shape_fits_better_than_where_it_started(family):
    embedder, train, _, _ = family
    half = np.float32([0.35, 0.45, 0.55])
    box = Surface(2 * half * cube(1.0), CUBE, "box")
    seen = observe(box, 100, ("test",))
    points, distances = torch.from_numpy(seen.points), torch.from_numpy(seen.distances)
    decoded = embedder.arm.decode("SIREN", embedder.arm.encode("SIREN", train.flat))
    started = (train.family.run(decoded, points)[..., 0] - distances).square().mean(1).min()
    completed = complete(embedder, CFG, train, seen)[None]
    ended = (train.family.run(completed, points)[..., 0] - distances).square().mean()
    assert ended < started
    cloud = torch.rand(4000, 3) * 2 - 1
    inside = (train.family.run(completed, cloud)[..., 0] < 0)[0]
    truth = (cloud.abs() < torch.from_numpy(half)).all(1)
    assert iou(inside[None], truth[None]).item() > 0.4


def test_completions_of_a_job_that_was_stopped_are_not_done_again(family, tmp_path, monkeypatch):
    embedder, train, _, _ = family
    seen = observe(Surface(cube(1.0), CUBE, "box"), 100, ("test",))

    def work():
        completed = complete(embedder, CFG, train, seen)
        return completed, from_scratch(CFG, seen, ("test", "scratch"))

    wanted = work()
    with pytest.raises(KeyboardInterrupt), Checkpoint(tmp_path / "job.checkpoint", {}):
        work()
        raise KeyboardInterrupt
    monkeypatch.setattr(torch.optim.Adam, "step", None)
    monkeypatch.setattr(field_training, "_run", None)
    with Checkpoint(tmp_path / "job.checkpoint", {}):
        assert all(a.equal(b) for a, b in zip(work(), wanted, strict=True))


def test_a_field_from_scratch_fits_what_it_is_given():
    seen = observe(Surface(cube(1.0), CUBE, "box"), 100, ("test",))
    longer = CFG.training.model_copy(update={"steps": 1500})
    cfg = CFG.model_copy(update={"training": longer, "widths": (48, 48), "omega": 30.0})
    flat = from_scratch(cfg, seen, ("test", "scratch"))[None]
    outputs = family_of(cfg).run(flat, torch.from_numpy(seen.points))[0, :, 0].numpy()
    off = seen.distances != 0
    right = np.mean((outputs < 0)[off] == (seen.distances < 0)[off])
    assert right > 0.85


def test_variants_are_scored_against_their_controls(family):
    embedder, train, test, at = family
    zoo, points = {"train": train, "test": test}, {"train": at, "test": at}
    found = scores(embedder, "ours", 3, CFG, zoo, points)
    methods = found.groupby("split")["method"].unique().map(set).to_dict()
    every = set(compared(embedder, train, test))
    assert methods == {"train": every - {"nearest"}, "test": every}
    held = found[found["split"] == "test"]
    means = held.groupby("method")["iou"].mean()
    assert means["siren"] > means["decoded"] > means["mean"]
    row = of_shapes(found).set_index("split").loc["test"]
    share = held.pivot(index="shape", columns="method", values="iou")
    assert row["share"] == pytest.approx((share["decoded"] / share["siren"]).mean(), abs=1e-6)
    assert row["share_low"] < row["share"] < row["share_high"]
    assert (row["trained_on"], row["warp"]) == (len(train.flat), CFG.warp)

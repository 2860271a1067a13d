"""Training that is stopped, at any step, and resumed leaves the same bits as unbroken training."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from functools import lru_cache, partial

import pandas as pd
import pytest
import torch
from torch.nn.functional import dropout

import toy
import toy_shapes
from lib.config import LossWeights, Training
from lib.core import checkpoint
from lib.core.checkpoint import Checkpoint, clear
from lib.core.streams import Stream
from lib.embed.arm import arm as register
from lib.embed.arm import find_arm
from lib.embed.arms.probing import Probing
from lib.embed.objectives.classifiers import train_classifiers
from lib.embed.objectives.fields import train_fields
from lib.embed.product import make_arm
from lib.engine.family import Family
from lib.engine.training import Engine, group, loop, shard, train
from lib.engine.training import fields as training_fields
from lib.nets import build_field
from lib.zoo.fields import Fields
from lib.zoo.population import Population

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8")
SHORT = {"steps": 5, "select_every": 2, "networks": 2, "versions": 2}
KEY = {"seed": 0}


class Stopped(Exception):
    """Training has been stopped."""


class Stopping(Checkpoint):
    """A checkpoint that is written after the first step, and stops training there."""

    def offer(self, state):
        self.save(*state())
        raise Stopped


@register("restless")
class Restless(Probing):
    """An arm that draws from torch's own random stream and has a buffer outside its state dict."""

    def __init__(self, *given):
        super().__init__(*given)
        self.register_buffer("mean_seen", torch.zeros(1), persistent=False)

    def read(self, architecture, seen):
        if torch.is_grad_enabled():
            self.mean_seen.lerp_(seen.detach().mean(), 0.1)
        return super().read(architecture, dropout(seen, 0.3) + self.mean_seen)


def populations(names, count, seed):
    """Untrained networks: what training does to them is not the point here."""
    rng = torch.Generator().manual_seed(seed)
    arm = make_arm(toy.CFG, names, (1, 8, 8), 4)
    frame = pd.DataFrame({"validation_accuracy": range(count)})
    return {
        name: Population(family, frame, 0.2 * torch.randn(count, family.layout.size, generator=rng))
        for name, family in arm.families.items()
    }


def several(name, options):
    """An arm of several architectures, and how it is trained."""
    cfg = toy.CFG.model_copy(update=SHORT | options | {"arm": name})
    images, validation = toy.images(40, 1), toy.images(30, 2)
    teacher = torch.randn(40, 4, generator=torch.Generator().manual_seed(3))
    known, held_out = populations(NAMES, 3, 0), populations(NAMES, 2, 1)

    def train(arm, point):
        return train_classifiers(
            arm,
            train=known,
            held_out=held_out,
            images=images,
            validation=validation,
            stream=Stream("several"),
            teacher=teacher,
            checkpoint=point,
        )

    return lambda: make_arm(cfg, NAMES, (1, 8, 8), 4), train


def single(name, options):
    """An arm of one architecture, and how it is trained."""
    weights = LossWeights(teacher=0, label=0, interpolation=0)
    cfg = toy.CFG.model_copy(update=SHORT | options | {"arm": name, "weights": weights})
    images, validation = toy.images(40, 1), toy.images(30, 2)
    known, held_out = (populations(NAMES[:1], count, count) for count in (4, 2))

    def train(arm, point):
        return train_classifiers(
            arm,
            train=known,
            held_out=held_out,
            images=images,
            validation=validation,
            stream=Stream("single"),
            checkpoint=point,
        )

    return lambda: make_arm(cfg, NAMES[:1], (1, 8, 8), 4), train


def fields(name, options):
    """An arm of fields, and how it is trained."""
    embedder = toy_shapes.CFG.embedder.model_copy(update=SHORT | options | {"arm": name})
    cfg = toy_shapes.CFG.model_copy(update={"embedder": embedder, "warp": 0.3})
    rng = torch.Generator().manual_seed(5)
    layout = make_arm(embedder, ["SIREN"], (3,), 1, toy_shapes.FIELD).families["SIREN"].layout
    known, held_out = (
        Fields(
            0.2 * torch.randn(count, layout.size, generator=rng),
            2 * torch.rand(count, 50, 3, generator=rng) - 1,
            2 * torch.rand(count, 40, 3, generator=rng) - 1,
            torch.rand(count, 40, generator=rng) < 0.5,
        )
        for count in (3, 2)
    )

    def train(arm, point):
        stream = Stream("fields")
        return train_fields(
            arm, train=known, held_out=held_out, space=cfg, stream=stream, checkpoint=point
        )

    return lambda: make_arm(embedder, ["SIREN"], (3,), 1, toy_shapes.FIELD), train


PAPER = {"latent": 64, "learning_rate": 1e-3, "draw": "mixed", "run_as": "predicted"}
CASES = {
    "probing": (several, "probing", {}),
    "probing mixed": (several, "probing", {"draw": "mixed", "schedule": "constant", "clip": None}),
    "positional": (several, "positional", {}),
    "transformer": (several, "transformer", {"options": {"order": "shuffled"}}),
    "paper": (several, "paper", PAPER),
    "restless": (several, "restless", {}),
    "probing of one": (single, "probing", {}),
    "readout": (single, "readout", {"latent": 700}),
    "field_probing": (fields, "field_probing", {"options": {"hidden": 16}}),
}


def test_every_arm_is_among_the_cases():
    find_arm("probing")
    from lib.embed.arm import _registry

    here = {name for name, cls in _registry.items() if cls.__module__.startswith("lib.")}
    assert here <= {name for _, name, _ in CASES.values()}


def run(build, train, point):
    torch.manual_seed(11)  # whoever calls `train` has initialised the arm from a stream of its own
    arm = build()
    torch.manual_seed(torch.seed() % 2**31)
    curves = train(arm, point)
    return dict(arm.named_parameters()) | dict(arm.named_buffers()), curves.rows


def same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.equal(second[name]), name


@pytest.fixture(scope="module")
def compiled():
    """Spaces are built, and their kernels compiled, once."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("of", "of_field"):
            made = lru_cache(getattr(Family, name))
            patch.setattr(Family, name, made)
        yield


@pytest.mark.parametrize("case", CASES)
def test_training_stopped_after_every_step_leaves_the_same_bits(case, compiled, tmp_path):
    how, name, options = CASES[case]
    build, train = how(name, options)
    whole, rows = run(build, train, checkpoint.NOWHERE)
    times = 0
    while True:
        try:
            state, curves = run(build, train, Stopping(tmp_path / "job.checkpoint", KEY))
            break
        except Stopped:
            times += 1
    assert times == SHORT["steps"]
    assert curves == rows
    same(whole, state)


# The zoo

ZOO = Training(
    epochs=2, batch_size=8, optimizer="adam", checkpoint="best", select_every=1, snapshots=(0, 1)
)


def trained(name, cfg, engine, point):
    images, validation = toy.images(40, 1), toy.images(20, 2)
    build = partial(shard.build, name, images)
    streams = [Stream("zoo", i) for i in range(3)]
    found = train(build, streams, cfg, images, validation, engine=engine, checkpoint=point)
    return found.stack, {name: str(values) for name, values in found.columns.items()}


@pytest.mark.parametrize(
    ("kernels", "name", "optimizer", "width"),
    [
        ("compiled", "ResNet8", "sgd", 4),
        ("compiled", "LeNetLike", "adam", 2),
        ("vmap", "ResNet8", "adam", 2),
        ("vmap", "LeNetLike", "sgd", 4),
    ],
)
def test_a_shard_stopped_between_all_parts_has_the_same_networks(
    kernels, name, optimizer, width, tmp_path, monkeypatch
):
    """Two groups or one; several parts to an epoch; optimizers of other states; batch norm."""
    monkeypatch.setattr(group, "STEPS", 3)
    monkeypatch.setattr(group, "FEW", 10)
    monkeypatch.setattr(loop, "group_size", lambda *given: width)
    cfg, engine = ZOO.model_copy(update={"optimizer": optimizer}), Engine(kernels, width=width)
    whole, columns = trained(name, cfg, engine, checkpoint.NOWHERE)
    times, again = 0, None
    while again is None:
        try:
            again = trained(name, cfg, engine, Stopping(tmp_path / "a.checkpoint", KEY))
        except Stopped:
            times += 1
    assert times >= 4
    same(whole, again[0])
    assert columns == again[1]


def test_parts_of_an_epoch_change_no_bit(monkeypatch):
    found = []
    for steps, few in ((1, 1), (3, 100), (64, 256)):
        monkeypatch.setattr(group, "STEPS", steps)
        monkeypatch.setattr(group, "FEW", few)
        found.append(trained("LeNetLike", ZOO, Engine("compiled"), checkpoint.NOWHERE))
    for stack, columns in found[1:]:
        same(found[0][0], stack)
        assert columns == found[0][1]


def test_a_checkpoint_of_groups_of_another_size_is_not_taken(tmp_path, monkeypatch):
    for size, wanted in ((2, Stopped), (3, None)):
        monkeypatch.setattr(loop, "group_size", lambda *given, size=size: size)
        point = (Stopping if wanted else Checkpoint)(tmp_path / "a.checkpoint", KEY)
        with pytest.raises(wanted) if wanted else nullcontext():
            trained("LeNetLike", ZOO, Engine("compiled"), point)


def test_fields_stopped_between_all_parts_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(training_fields, "CHUNK", 3)
    points, distances = toy_shapes.boxes(2, 0)
    cfg = toy_shapes.ZOO.training.model_copy(update={"steps": 7})

    def run(point):
        build = partial(build_field, "SIREN", **toy_shapes.FIELD)
        given = [Stream("boxes", i) for i in range(2)], cfg, points, distances
        found = training_fields.train_fields(build, *given, checkpoint=point)
        return found.stack, found.columns

    whole, columns = run(checkpoint.NOWHERE)
    times, again = 0, None
    while again is None:
        try:
            again = run(Stopping(tmp_path / "a.checkpoint", KEY))
        except Stopped:
            times += 1
    assert times == 6
    same(whole, again[0])
    assert columns == again[1]


# The file


TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(True), "c": torch.zeros(0, 4)}
DATA = {"done": 3, "rows": [[1, "loss", 0.1], [2, "loss", float("inf")]]}


@pytest.fixture
def heard(caplog):
    caplog.set_level(logging.INFO, "lib")
    return caplog


def saved(path, key=KEY):
    Checkpoint(path, key).save(TENSORS, DATA)
    return path


def test_what_was_saved_comes_back(tmp_path, heard):
    tensors, data = Checkpoint(saved(tmp_path / "a.checkpoint"), dict(KEY)).load()
    same(TENSORS, tensors)
    assert data == DATA and not heard.text
    assert [path.name for path in tmp_path.iterdir()] == ["a.checkpoint"]


def test_a_checkpoint_of_another_job_is_not_taken(tmp_path, heard):
    path = saved(tmp_path / "a.checkpoint", {"seed": 0, "code": "x", "inputs": ["1", "2"]})
    assert Checkpoint(path, {"seed": 0, "code": "y", "inputs": ["1", "3"]}).load() is None
    assert f"started anew, as the checkpoint {path} is of other code, inputs" in heard.text
    assert Checkpoint(path, {"seed": 0, "code": "x"}).load() is None


def test_the_key_is_the_content_of_the_inputs_and_all_parameters(tmp_path):
    log, given = tmp_path / "logs/job.log", tmp_path / "given"
    given.write_text("1")

    def point(params, wildcards):
        return Checkpoint.beside(log, [given], params, wildcards)

    point({"steps": 5, "seed": 0}, {"seed": "1"}).save(TENSORS, DATA)
    assert [path.name for path in log.parent.iterdir()] == ["job.checkpoint"]
    assert point({"seed": 0, "steps": 5}, {"seed": "1"}).load()
    assert not point({"steps": 6, "seed": 0}, {"seed": "1"}).load()
    assert not point({"steps": 5, "seed": 0}, {"seed": "2"}).load()
    given.touch()
    assert point({"steps": 5, "seed": 0}, {"seed": "1"}).load()
    given.write_text("2")
    assert not point({"steps": 5, "seed": 0}, {"seed": "1"}).load()


def test_a_folder_among_the_inputs_counts_by_all_its_files(tmp_path):
    folder = tmp_path / "meshes"
    (folder / "a").mkdir(parents=True)
    (folder / "a/1.ply").write_text("1")

    def point():
        return Checkpoint.beside(tmp_path / "logs/job.log", [folder], {}, {})

    point().save(TENSORS, DATA)
    assert point().load()
    (folder / "a/1.ply").rename(folder / "a/2.ply")
    assert not point().load()


@pytest.mark.parametrize("keep", [0, 4, 100, -8, -1])
def test_a_truncated_checkpoint_is_said_to_be_damaged_and_not_taken(keep, tmp_path, heard):
    path = saved(tmp_path / "a.checkpoint")
    path.write_bytes(path.read_bytes()[:keep])
    assert Checkpoint(path, KEY).load() is None
    assert f"started anew, as the checkpoint {path} is damaged" in heard.text


def test_a_flipped_bit_is_damage_wherever_it_is(tmp_path, heard):
    path = saved(tmp_path / "a.checkpoint")
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        found = Checkpoint(path, KEY).load()
        if found:  # padding, or a digit of a key's digest: then it is another job's
            same(TENSORS, found[0])
            assert found[1] == DATA


def test_a_checkpoint_that_cannot_be_written_stops_nothing(tmp_path, heard):
    (tmp_path / "file").touch()
    Checkpoint(tmp_path / "file/a.checkpoint", KEY).save(TENSORS, DATA)
    assert "no checkpoint was written" in heard.text


def test_it_is_saved_when_it_is_time(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    point, asked = Checkpoint(tmp_path / "a.checkpoint", KEY), []
    for _ in range(100):
        now[0] += 1
        point.offer(lambda: asked.append(now[0]) or (TENSORS, DATA))
    assert asked == [130, 160, 190]


def test_a_finished_job_leaves_it_until_it_is_cleared_and_a_failed_one_for_good(tmp_path):
    for name in ("done", "failed"):
        (tmp_path / "logs" / name).mkdir(parents=True)
    with Checkpoint(tmp_path / "logs/done/a.checkpoint", KEY) as point:
        point.save(TENSORS, DATA)
    with pytest.raises(Stopped), Checkpoint(tmp_path / "logs/failed/a.checkpoint", KEY) as point:
        point.save(TENSORS, DATA)
        raise Stopped
    assert Checkpoint(tmp_path / "logs/done/a.checkpoint", KEY).load()
    clear(tmp_path)
    assert not Checkpoint(tmp_path / "logs/done/a.checkpoint", KEY).load()
    assert Checkpoint(tmp_path / "logs/failed/a.checkpoint", KEY).load()
    with Checkpoint(tmp_path / "logs/done/b.checkpoint", KEY):
        pass  # too short a job for any

"""Memory is planned: the plan is near what is really taken, and a job that cannot fit says so."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from lib import nets
from lib.config import Training
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine.training import Engine, train
from lib.engine.training.memory import WORKSPACE, Footprint, MemoryPlanError, footprint, group_size

MB = 10**6


def split(count: int, size: int = 8) -> ImageSplit:
    x, y = torch.zeros(count, 1, size, size), torch.arange(count) % 10
    return ImageSplit(x, y, tuple("0123456789"), "none", "")


def build(name: str = "LeNetLike", size: int = 8):
    return lambda: nets.build(name, 1, size, 10)


def test_the_footprint_of_a_linear_network_is_known():
    cfg = Training(batch_size=50, snapshots=(1,), optimizer="adam")
    found = footprint(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), cfg, split(100), split(20)
    )
    parameters, batch, logits = 650 * 4, 50 * 64 * 4, 20 * 10 * 4
    assert found.kept == 2 * parameters * 2
    assert found.state == 2 * 3 * parameters + 3 * (100 * 8 + logits)
    assert 2 * batch + parameters < found.running / WORKSPACE < 3 * batch + 4 * parameters


def test_larger_batches_and_larger_images_take_more():
    def running(name, batch_size, size=8):
        cfg = Training(batch_size=batch_size)
        return footprint(build(name, size), cfg, split(256, size), split(20, size)).running

    assert 3 < running("LeNetLike", 256) / running("LeNetLike", 64) < 4.1
    assert running("VanillaCNN", 64, 32) > 5 * running("VanillaCNN", 64)


MEASURE = r"""
import re, sys, torch
sys.path.insert(0, {folder!r})
from test_memory import build, split
from lib.config import Training
from lib.core.streams import Stream
from lib.engine.training import Engine, train
from lib.engine.training.memory import _taken, footprint
torch.set_num_threads(1)
name, width = {name!r}, {width}
cfg = Training(epochs=2, batch_size=64, augmentation={{"crop_padding": 1}}, **{more!r})
images, validation = split(130), split(100)
streams = [Stream("x", i) for i in range(max(2, width))]
running = width if {kernels!r} == "vmap" else 1
planned = footprint(build(name), cfg, images, validation, {kernels!r}).need(width, width, running)
if {kernels!r} == "vmap":  # what is set up once
    train(build(name), streams[:2], cfg, images, validation, engine=Engine(width=2))
before = _taken(images.x.device)
train(build(name), streams, cfg, images, validation, engine=Engine({kernels!r}, width))
peak = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024 - before
print(planned, peak)
"""


@pytest.mark.parametrize(
    ("kernels", "name", "width", "more"),
    [
        ("vmap", "ResNet8", 32, {}),
        ("vmap", "LeNetLike", 400, {"optimizer": "adam", "snapshots": (1,)}),
        ("compiled", "ResNet8", 400, {}),
    ],
)
def test_the_plan_is_near_the_memory_really_taken(kernels, name, width, more):
    folder = __file__.rpartition("/")[0]
    code = MEASURE.format(folder=folder, kernels=kernels, name=name, width=width, more=more)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    planned, peak = map(int, ended.stdout.split())
    assert 50 * MB < peak
    assert 0.9 < planned / peak < 2, (planned / MB, peak / MB)


def plan(monkeypatch, limit: int, total: int = 100, **engine) -> int:
    """The size of groups of 100 networks that keep 1 MB each, in a process that has taken 50 MB."""
    monkeypatch.setattr("lib.engine.training.memory._taken", lambda device: 50 * MB)
    monkeypatch.setattr(
        "lib.engine.training.memory.footprint", lambda *_: Footprint(1 * MB, 2 * MB, 8 * MB)
    )
    engine = Engine(max_memory=limit * MB, **engine)
    return group_size(build(), total, Training(), split(20), split(20), engine, "zoos.mine")


def test_vmap_runs_its_width_or_refuses(monkeypatch):
    assert plan(monkeypatch, 250, width=10) == 10  # 50 + 100 x 1 + 10 x (2 + 8)
    with pytest.raises(MemoryPlanError) as caught:
        plan(monkeypatch, 249, width=10)
    message = str(caught.value)
    for part in (
        "100 networks, 10 at a time, needs 250.0 MB but engine.max_memory is 249.0 MB",
        "50.0 MB are taken already",
        "set engine.width to at most 9",
        "raise engine.max_memory",
    ):
        assert part in message
    with pytest.raises(MemoryPlanError) as caught:
        plan(monkeypatch, 155, width=10)
    assert "engine.width" not in str(caught.value)
    assert "lower zoos.mine.shard_size or zoos.mine.training.batch_size" in str(caught.value)


def test_compiled_runs_as_many_as_there_is_room_for(monkeypatch):
    assert plan(monkeypatch, 10_000, kernels="compiled") == 100
    assert plan(monkeypatch, 178, kernels="compiled") == 10  # 50 + 100 x 1 + 10 x 2 + 8
    assert plan(monkeypatch, 160, kernels="compiled") == 1
    with pytest.raises(MemoryPlanError, match="1 at a time, needs 160.0 MB but .* is 159.0 MB"):
        plan(monkeypatch, 159, kernels="compiled")


def test_no_limit_plans_nothing():
    assert group_size(build(), 7, Training(), split(8), split(8), Engine(width=3)) == 3
    engine = Engine(kernels="compiled")
    assert group_size(build(), 7, Training(), split(8), split(8), engine) == 7


def test_a_job_that_cannot_fit_fails_before_it_starts():
    built = []

    def counting():
        built.append(1)
        return build()()

    with pytest.raises(MemoryPlanError):
        streams = [Stream("x", i) for i in range(50)]
        engine = Engine(max_memory=10**6)
        train(counting, streams, Training(), split(8), split(8), engine=engine)
    assert len(built) < 6, "only what the plan itself is made from"

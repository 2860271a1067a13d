"""Gradient descent that is stopped, at any step, and resumed leaves the same bits."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from lib.core import checkpoint
from lib.core.checkpoint import Checkpoint, clear
from lib.core.streams import Stream
from lib.engine.descent import descend

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 7
SCHEDULES = {
    "constant": None,
    "cosine": lambda optimizer: CosineAnnealingLR(optimizer, STEPS),
    "falling": lambda optimizer: LambdaLR(optimizer, lambda step: 0.7**step),
}
START = torch.linspace(-1, 1, 6).reshape(2, 3)


class Stopped(Exception):
    """The job was stopped."""


def loss(x, rng):
    return (x - torch.randn(x.shape, generator=rng)).square().sum(1)


def work(schedule, stop=None):
    """Two descents, one after the other, as a job does them; what was seen of them."""
    seen = []

    def own(x, rng):
        nonlocal stop
        if stop is not None:
            if stop == 0:
                raise Stopped
            stop -= 1
        return loss(x, rng)

    def look(step, x):
        seen.append((step, x.clone()))

    def run(start, name):
        return descend(
            start,
            own,
            stream=Stream(name),
            steps=STEPS,
            rate=0.1,
            what="moving",
            schedule=SCHEDULES[schedule],
            every=3,
            watch=look,
        )

    first = run(START, "a")
    return run(first, "b"), seen


def same(one, other):
    assert one[0].equal(other[0])
    assert [step for step, _ in one[1]] == [step for step, _ in other[1]]
    assert all(a.equal(b) for (_, a), (_, b) in zip(one[1], other[1], strict=True))


@pytest.mark.parametrize("stop", range(1, 2 * STEPS))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_job_stopped_before_any_step_ends_with_the_same_bits(
    tmp_path, monkeypatch, schedule, stop
):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    path = tmp_path / "job.checkpoint"
    with pytest.raises(Stopped), Checkpoint(path, {"seed": 0}):
        work(schedule, stop)
    with Checkpoint(path, {"seed": 0}):
        again = work(schedule, 2 * STEPS - stop)  # any step done twice would be one too many
    same(again, work(schedule))
    assert {found.suffix for found in tmp_path.iterdir()} == {".finished"}
    clear(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_another_job_saved_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    path = tmp_path / "job.checkpoint"
    with pytest.raises(Stopped), Checkpoint(path, {"seed": 0}):
        work("cosine", STEPS + 2)
    with pytest.raises(Stopped), Checkpoint(path, {"seed": 1}):
        work("cosine", 1)  # it has to begin anew


def test_without_a_job_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    moved, seen = work("constant")
    assert not moved.equal(START) and [step for step, _ in seen] == [0, 3, 6, 7] * 2
    assert not list(tmp_path.iterdir())


def test_it_is_adam_at_the_rate_of_its_schedule():
    x = START.clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.1)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.1 * 0.7**step
        optimizer.zero_grad()
        x.square().sum().backward()
        optimizer.step()
    found = descend(
        START,
        lambda x, _: x.square().sum(1),
        stream=Stream(),
        steps=STEPS,
        rate=0.1,
        what="m",
        schedule=SCHEDULES["falling"],
    )
    torch.testing.assert_close(found, x.detach())

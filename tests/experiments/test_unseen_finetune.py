"""Generated networks trained further, beside networks trained from scratch."""

from __future__ import annotations

from dataclasses import replace

import pytest

import left_out
from left_out import LEFT
from lib.config.experiments import UnseenFinetune
from lib.config.zoos import Training
from lib.core import checkpoint
from lib.core.checkpoint import Checkpoint
from lib.engine.training import Engine
from lib.experiments import unseen_finetune
from lib.experiments.columns import CLASSIFIERS
from stops import Stopped, allow
from tasks import task

pytestmark = pytest.mark.usefixtures("one_thread")


def asked(toy, **training):
    cfg = Training(batch_size=16, learning_rate=0.08).model_copy(update=training)
    return task(toy, "unseen_finetune", training=cfg, engine=Engine("compiled"))


def test_fine_tuning_and_training_from_scratch_are_in_one_table(toy):
    cfg = UnseenFinetune(finetuned=2, rate=0.02, scratch_epochs=(1, 12))
    given = replace(asked(toy), unseen={(LEFT,): {4: left_out.trained(toy).embedder}})
    table = unseen_finetune.run(given, cfg)
    assert tuple(table.columns) == CLASSIFIERS["unseen_finetune"]
    counts = table.groupby(["method", "epochs", "seed"], sort=False).size()
    assert counts.to_dict() == {
        ("generated", 0, 4): 2,
        ("finetuned", 1, 4): 2,
        ("scratch", 1, 0): 2,
        ("scratch", 12, 0): 2,
    }
    assert list(table["network"][:2]) == [f"LeNetLike-{i:04d}:ResNet8-{i:04d}" for i in (0, 1)]
    means = table.groupby(["method", "epochs"])[["train_accuracy", "accuracy"]].mean()
    assert (means.loc[("finetuned", 1)] > means.loc[("scratch", 1)]).all()
    assert (means.loc[("scratch", 12)] > means.loc[("scratch", 1)]).all()


def test_training_from_scratch_is_not_done_again_in_a_job_that_was_stopped(
    toy, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    cfg = UnseenFinetune(finetuned=2, scratch_epochs=(1, 3))
    given = asked(toy, batch_size=32, learning_rate=0.03, schedule="constant")

    def work():
        return unseen_finetune.from_scratch(given, cfg, LEFT)

    wanted, path = work(), tmp_path / "job.checkpoint"
    with monkeypatch.context() as patch, pytest.raises(Stopped), Checkpoint(path, {}):
        allow(patch, 2)
        work()
    with Checkpoint(path, {}):
        allow(monkeypatch, 2)
        again = work()
    assert again.keys() == wanted.keys()
    assert all(again[epochs].equal(wanted[epochs]) for epochs in wanted)

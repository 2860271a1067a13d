"""A study with `device: cuda`, on a stand-in for a GPU (tests/stand_in_gpu.py)."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from lib.core.checkpoint import FINISHED
from lib.steps import read_plan
from places import ROOT, run

TESTS = Path(__file__).parents[1]
STUDY = """
name: on_a_gpu
results: results
device: cuda
engine: {kernels: vmap, precision: tf32, width: 3}
data:
  digits: {limit_per_class: 20}
zoos:
  digits:
    instances: {train: 3, validation: 1, test: 2}
    shard_size: 6
    training: {epochs: 2, batch_size: 32, augmentation: {crop_padding: 1, flip: true}}
  performance:
    instances: {train: 6, validation: 2, test: 3}
    shard_size: 12
    training: {batch_size: 32, epochs: {in_turn: [1, 2]}}
spaces:
  multiarch:
    teacher: {architecture: ResNet14, training: {epochs: 1, batch_size: 32}}
    embedder:
      {latent: 32, rank: 16, probes: 16, steps: 4, networks: 2, batch_size: 8, versions: 3,
       weight_noise: 0.1, select_every: 2}
    experiments:
      reconstruction: {steps: 3, batch: 8}
      interpolation: {points: 4, pairs: 1, pairs_within: 1, reset_images: 16}
      latent_optimization: {steps: 4, starts: 2, every: 2, batch: 8}
      unseen: {fresh: 2, distilled: 2, left_out: [[VanillaCNN]]}
      unseen_finetune: {finetuned: 2, scratch_epochs: [1, 2]}
    variants:
      transformer: {embedder: {arm: transformer, options: {order: given}}}
      positional: {embedder: {arm: positional}}
      paper:
        embedder:
          {arm: paper, latent: 64, draw: mixed, run_as: predicted, weights: {structure: 0.1}}
  singlearch:
    embedder:
      {latent: 700, probes: 32, steps: 4, networks: 3, batch_size: 8, versions: 2, select_every: 2}
    experiments:
      reconstruction: {steps: 3, batch: 8}
      interpolation: {points: 5, pairs_within: 1, reset_images: 16}
      latent_optimization: {steps: 3, starts: 1, every: 2, batch: 8}
      property_prediction: {components: 2}
      sampling: {samples: 2, finetuned: 1, epochs: [1]}
      arithmetic: {scales: [0, 1]}
    variants:
      transformer: {embedder: {arm: transformer, latent: 32, options: {order: given}}}
"""
PLANNED = ["all", "all_variants"]
# A step, the offer of a checkpoint at which it is stopped, and what its log says of the next run.
# The instance is of its second group of networks.
STOPS = [("train_shard digits LeNetLike 000", 3, "with instance 3")]
STOPPED = 7
STOP = f"""
import sys
import stand_in_gpu
from lib.core import checkpoint
offer, left = checkpoint.Checkpoint.offer, int(sys.argv[1])
def counted(*given):
    global left
    offer(*given)
    left -= 1
    if not left:
        stand_in_gpu.leave({STOPPED})
checkpoint.EVERY, checkpoint.Checkpoint.offer = 0, counted
stand_in_gpu.leave(stand_in_gpu.main(sys.argv[2:]))
"""
REFUSED = {
    "a sum of two devices": "there + torch.ones(3)",
    "a batch that stayed on the CPU": "torch.nn.Linear(3, 2).to(there.device)(torch.ones(1, 3))",
    "numpy": "there.numpy()",
    "numpy, by the way": "np.asarray(there)",
    "a tensor of the CPU at places on the device": "torch.ones(3)[there.long()]",
    "values of the CPU": "there.index_put_((there.long(),), torch.ones(3))",
    "values of the CPU, into places": "there.__setitem__([0, 1], torch.ones(2))",
    "the device's into a tensor of the CPU": "torch.ones(3).add_(there)",
    "a generator of the CPU": "there.normal_(generator=torch.Generator())",
}
TAKEN = {
    "a number of the CPU": "there + torch.tensor(1.0)",
    "places on the CPU": "there[torch.tensor([0, 2])]",
    "a list of places": "there[[0, 2]]",
    "a copy there": "there.copy_(torch.ones(3))",
    "a copy back": "torch.ones(3).copy_(there).numpy(), there.cpu().numpy()",
    "a gradient": "(there.requires_grad_() * 2).sum().backward()",
}
TRY = """
import json, sys
import numpy as np, torch
from stand_in_gpu import DEVICE, leave, stand_in
with stand_in():
    for name, code in json.loads(sys.argv[1]).items():
        there = torch.zeros(3, device=DEVICE)
        try:
            eval(code)
        except (RuntimeError, TypeError):
            print(name)
leave(0)
"""


@pytest.fixture(scope="module", autouse=True)
def path():
    """Processes find this checkout's code, and the stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "workflow"), str(TESTS)]))
        yield


def on_stand_in(folder, *arguments, stop=None):
    """Run steps of the plan in a folder; with `stop`, until so many checkpoints were offered."""
    how = ["-m", "stand_in_gpu"] if stop is None else ["-c", STOP, str(stop)]
    return run([sys.executable, *how, "plan.json", *arguments], folder)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A folder with the plan of the study."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "study.yaml").write_text(STUDY)
    plan = [sys.executable, str(ROOT / "workflow/plan.py"), *PLANNED]
    made = run([*plan, "--configfile", "study.yaml", "--out", "plan.json"], folder)
    assert made.code == 0, made.text
    return folder


@pytest.fixture(scope="module")
def made(planned):
    """The same folder, and what was said as its steps were run, all of them by now."""
    return planned, on_stand_in(planned)


def test_every_step_of_a_study_runs_on_a_gpu(made):
    folder, ended = made
    assert ended.code == 0, ended.text[-5000:]
    steps = [step for step in read_plan(folder / "plan.json") if "gpu" in step.job["resources"]]
    rules = {step.job["rule"] for step in steps}
    assert {"train_shard", "teacher", "score_variant", "experiment", "unseen_embedder"} <= rules
    for step in steps:
        assert f"{step.label}: done" in ended.text
        assert all((folder / path).exists() for path in step.job["output"]["files"]), step.label


@pytest.mark.parametrize(("label", "offers", "said"), STOPS)
def test_a_step_that_was_stopped_goes_on_on_the_gpu(made, tmp_path, label, offers, said):
    folder = tmp_path / "study"
    shutil.copytree(made[0], folder)
    (step,) = [step for step in read_plan(folder / "plan.json") if step.label == label]
    log = folder / step.job["log"]["files"][0]
    for path in log.parent.glob(f"{log.stem}*{FINISHED}"):
        path.unlink()
    outputs = [folder / path for path in step.job["output"]["files"]]
    before = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    ended = on_stand_in(folder, "--only", label, stop=offers)
    assert ended.code == STOPPED and not outputs[0].exists(), ended.text[-5000:]
    ended = on_stand_in(folder, "--only", label)
    assert ended.code == 0 and said in log.read_text(), ended.text[-5000:]
    assert [path.read_bytes() for path in outputs] == before


def test_the_stand_in_refuses_what_cuda_refuses_and_nothing_else(tmp_path):
    tried = run([sys.executable, "-c", TRY, json.dumps(REFUSED | TAKEN)], tmp_path)
    assert tried.code == 0 and tried.text.splitlines() == list(REFUSED), tried.text

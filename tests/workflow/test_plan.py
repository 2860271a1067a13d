"""The steps of the tiny study without Snakemake, and killed in the middle."""

import subprocess
import sys
import time

import pytest

from lib.report.digests import content_digest

EMBEDDER = "multiarch/embedder/seed_0/embedder.safetensors"
LOSSES = "multiarch/embedder/seed_0/losses.csv"
# Training saves its state after every step, and takes its time over each.
RESTLESS = """
import sys, time
from lib import steps
from lib.core import checkpoint
checkpoint.EVERY = 0
offer = checkpoint.Checkpoint.offer
checkpoint.Checkpoint.offer = lambda *given: (offer(*given), time.sleep(0.1))
steps.execute(steps.read_plan("plan.json")[int(sys.argv[1])])
"""


@pytest.fixture
def planned(copied, run, monkeypatch):
    """A copy of the finished study, and its plan beside it."""
    monkeypatch.setenv("PYTHONPATH", str(copied.source / "workflow"))
    made = run(
        [
            *(sys.executable, str(copied.source / "workflow/plan.py"), "--out", "plan.json"),
            *("--configfile", str(copied.source / "config/tiny.yaml")),
        ],
        copied.folder,
    )
    assert made.code == 0, made.text
    return copied


def steps_of(planned, run, *arguments):
    ended = run([sys.executable, "-m", "lib", "run", "plan.json", *arguments], planned.folder)
    assert ended.code == 0, ended.text[-5000:]
    return ended.text


def test_what_snakemake_has_made_is_done(planned, run):
    assert "all steps are done" in steps_of(planned, run)


def test_steps_give_what_snakemake_gives_and_snakemake_takes_it(planned, run):
    made = ["multiarch/teacher.safetensors", EMBEDDER, LOSSES, "multiarch/interpolation.csv"]
    zoos = ("digits/LeNetLike", "chairs/SIREN")
    made += [f"zoos/{name}/raw_000.safetensors" for name in zoos]
    before = {name: content_digest(planned.results / name) for name in made}
    for name in made:
        (planned.results / name).unlink()
    steps_of(planned, run)
    assert {name: content_digest(planned.results / name) for name in made} == before
    text = planned.run("--dry-run").text
    assert "Nothing to be done" in text, text[-3000:]


def test_a_job_killed_in_the_middle_goes_on_from_there(planned, run):
    for name in (EMBEDDER, LOSSES):
        (planned.results / name).unlink()
    listed = steps_of(planned, run, "--list").splitlines()
    (number,) = [line.split()[0] for line in listed if line.endswith("train_embedder multiarch 0")]
    log = planned.results / "logs/multiarch/embedder/seed_0.log"
    point = log.with_suffix(".checkpoint")
    job = subprocess.Popen([sys.executable, "-c", RESTLESS, number], cwd=planned.folder)
    while not point.exists():
        assert job.poll() is None
        time.sleep(0.05)
    job.kill()
    job.wait()
    assert not (planned.results / EMBEDDER).exists()
    steps_of(planned, run, "--rule", "train_embedder")
    assert "resumed after step" in log.read_text()
    assert not list(log.parent.glob("*.checkpoint")) and not list(log.parent.glob("*.finished"))
    assert content_digest(planned.results / EMBEDDER) == planned.digests[EMBEDDER]
    assert content_digest(planned.results / LOSSES) == planned.digests[LOSSES]

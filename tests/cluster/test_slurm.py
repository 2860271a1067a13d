"""The study on a real Slurm: the same digests, also when jobs, a node and the controller die."""

import json
import shutil
import signal
import time
from dataclasses import replace

from lib.report.digests import content_digest

# The files and the logs of rules that train embedders.
EMBEDDERS = {
    "train_embedder": ("multiarch/embedder/seed_0", "multiarch/embedder/seed_0"),
    "unseen_embedder": (
        "multiarch/unseen/VanillaCNN+ResNet8/seed_0",
        "multiarch/unseen/VanillaCNN+ResNet8/seed_0",
    ),
    "train_field_embedder": ("shapes/embedder/seed_0", "shapes/embedder/seed_0"),
}
MINUTES = 15


def test_a_space_of_the_study_has_the_digests_of_a_run_on_one_machine(
    slurm, on_slurm, study, empty, run
):
    part = ("--config", 'spaces=["multiarch"]')
    ended = run(on_slurm(empty, options=part), empty.folder)
    assert ended.code == 0, ended.text[-5000:] + slurm.log()
    assert "has been submitted with SLURM jobid" in ended.text
    pages = {"report.html", "multiarch_report.html"}  # they say which parts there are
    assert empty.digests.keys() > pages and not any("shapes" in name for name in empty.digests)
    for name in empty.digests.keys() - pages:
        assert empty.digests[name] == study.digests[name], name


def test_lost_jobs_nodes_and_controllers_change_nothing(slurm, on_slurm, study, copied, started):
    files = [f"{folder}/embedder.safetensors" for folder, _ in EMBEDDERS.values()]
    logs = {rule: copied.results / f"logs/{name}.log" for rule, (_, name) in EMBEDDERS.items()}
    for path in [*(copied.results / file for file in files), *logs.values()]:
        path.unlink()

    def all_held():
        assert process.poll() is None, said.read_text()[-5000:]
        for rule, log in logs.items():
            if log.exists():
                for job in slurm.running(f"rule_{rule}"):
                    slurm.signal(job, signal.SIGSTOP)
        return all(log.exists() for log in logs.values())

    command = on_slurm(copied, *(f"results/tiny/{file}" for file in files))
    with started(command, copied.folder) as (process, said):
        slurm.wait(all_held, "embedders in training", 60 * MINUTES)
        (lost, node), *others = slurm.running("_embedder").items()
        cancelled = next(job for job, elsewhere in others if elsewhere != node)
        slurm.scancel(cancelled)
        # A controller that dies at once may not have told the node yet.
        slurm.wait(lambda: cancelled not in slurm.jobs(), "end of the cancelled job", 60)
        slurm.kill_node(node)
        slurm.kill_controller()
        time.sleep(10)
        slurm.start_controller()
        for job, _ in others:
            slurm.signal(job, signal.SIGCONT)
        slurm.wait(lambda: slurm.states().get(node, "").startswith("down"), f"loss of {node}", 180)
        # Not before: a job that ends in time tells the controller so, daemon or none.
        slurm.signal(lost, signal.SIGCONT)
        process.wait(60 * MINUTES)
        slurm.start_node(node)
    text = said.read_text()
    assert process.returncode == 0, text[-5000:] + slurm.log()
    assert f"SLURM-job '{cancelled}' failed" in text
    assert f"SLURM-job '{lost}' failed due to a node failure" in text
    for file in files:
        assert content_digest(copied.results / file) == study.digests[file]
    assert "Nothing to be done" in copied.run("--cores", "2").text


# Says what it sees of the GPUs, of which there are none, instead of training.
STAND_IN = """
import json, os, time
from pathlib import Path

from lib.core.repro import deterministic

began = time.time()
deterministic(**snakemake.params.run)
time.sleep(2)
seen = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES", "SLURMD_NODENAME")}
Path(snakemake.output.states).write_text(json.dumps(seen | {"time": [began, time.time()]}))
Path(snakemake.output.columns).touch()
"""


def test_jobs_that_train_at_once_on_a_node_have_gpus_of_their_own(
    slurm, on_slurm, empty, run, tmp_path
):
    source = shutil.copytree(empty.source, tmp_path / "source")
    (source / "workflow/scripts/zoo/train_shard.py").write_text(STAND_IN)
    place = replace(empty, source=source)
    names = [f"{net}/raw_{k}" for net in ("LeNetLike", "ResNet8") for k in ("000", "001")]
    files = [f"results/tiny/zoos/digits/{name}.safetensors" for name in names]
    settings = [
        "--config",
        "device=cuda",
        "engine={kernels: vmap}",
        "--group-components",
        "shard=1",
    ]
    settings += ["--default-resources", "slurm_extra='--nodelist=n1'"]
    ended = run(on_slurm(place, *files, options=settings), place.folder)
    assert ended.code == 0, ended.text[-5000:] + slurm.log()
    jobs = [json.loads((place.folder / file).read_text()) for file in files]
    assert {job["SLURMD_NODENAME"] for job in jobs} == {"n1"}
    assert {job["CUDA_VISIBLE_DEVICES"] for job in jobs} == {"0", "1"}
    for job in jobs:
        for other in jobs:
            if job is not other and job["CUDA_VISIBLE_DEVICES"] == other["CUDA_VISIBLE_DEVICES"]:
                assert job["time"][1] <= other["time"][0] or other["time"][1] <= job["time"][0]

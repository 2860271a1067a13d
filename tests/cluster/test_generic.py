"""The fallback: any scheduler with commands to submit, query and cancel; here Slurm's own tools."""

from lib.report.digests import zoo_digest


def test_networks_trained_through_sbatch_have_the_digest_of_one_machine(
    slurm, by_sbatch, study, empty, run
):
    shards = [f"results/tiny/zoos/digits/LeNetLike/shard_{k}.h5" for k in ("000", "001")]
    options = ("--group-components", "shard=2")
    ended = run(by_sbatch(empty, *shards, options=options), empty.folder)
    assert ended.code == 0, ended.text[-5000:] + slurm.log()
    assert "with external jobid" in ended.text
    found = zoo_digest([empty.folder / shard for shard in shards])
    assert found == study.digests["zoos/digits/LeNetLike"]


def test_a_cancelled_job_is_noticed_and_sent_again(slurm, by_sbatch, empty, started):
    command = by_sbatch(empty, "results/tiny/data/digits/train.h5")
    with started(command, empty.folder) as (process, said):
        (job,) = slurm.wait(slurm.jobs, "job", 120)
        slurm.scancel(job)
        process.wait(600)
    assert process.returncode == 0, said.read_text() + slurm.log()
    assert said.read_text().count("with external jobid") == 2

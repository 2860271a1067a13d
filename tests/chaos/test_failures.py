"""A run that fails ends with what failed, in which log, and what the log ends with."""

import pytest

STEPS = {
    # rule: (its script, where, what is put there)
    "prepare_images": (
        "data/prepare_images",
        'with job(f"images {data}", snakemake.log[0]):\n',
        "    1 / 0\n",
    ),
    "prepare_meshes": (
        "fields/prepare_meshes",
        'with job(f"meshes {zoo}", snakemake.log[0]) as log:\n',
        "    import os; log.info('begins'); os.kill(os.getpid(), 9)\n",
    ),
}
TARGETS = ("results/tiny/data/digits/train.h5", "results/tiny/zoos/chairs/shapes.csv")


@pytest.fixture
def broken(empty):
    """The code with one step that fails and one that is killed, for the length of a test."""
    before = {}
    for script, where, what in STEPS.values():
        path = empty.source / f"workflow/scripts/{script}.py"
        before[path] = path.read_text()
        assert where in before[path]
        path.write_text(before[path].replace(where, where + what))
    yield empty
    for path, text in before.items():
        path.write_text(text)


def test_a_failed_run_ends_with_each_failed_step_its_log_and_what_the_log_ends_with(broken):
    ended = broken.run(*TARGETS, "--cores", "8", "--keep-going")
    begin, _, end = ended.text.partition("Exiting because a job execution failed")
    assert ended.code != 0
    log = "results/tiny/logs/data/digits/prepare_images.log"
    assert f"\nprepare_images failed; its log, {log}, ends with\n" in end
    assert "images digits: failed: ZeroDivisionError: division by zero\n" in end
    log = "results/tiny/logs/zoos/chairs/prepare_meshes.log"
    killed = "was killed, most often because memory ran out"
    assert f"\nprepare_meshes {killed}; its log, {log}, ends with\n" in end
    assert "meshes chairs: begins\n" in end
    assert "What is finished is kept: the same command goes on from there." in end
    assert begin.count("Traceback (most recent call last)") == 1  # in the log, which is shown

"""What is up to date stays; what changes re-runs, with what depends on it and nothing else."""

import os

import pytest

NOTHING = "Nothing to be done"
ENDS = {"multiarch_report", "index", "digests", "all"}
OTHER_PAGES = {"singlearch_report", "shapes_report"}  # each shows the config of the run


def planned(place, *arguments):
    """What a run would do."""
    ended = place.run("--dry-run", *arguments)
    assert ended.code == 0, ended.text
    return ended


def test_a_second_run_does_nothing(study):
    ended = study.run("--cores", "2")
    assert ended.code == 0 and NOTHING in ended.text and not ended.jobs


def test_the_default_profile_supplies_the_cores(study):
    ended = study.run("results/tiny/multiarch_report.html")
    assert ended.code == 0 and NOTHING in ended.text


def test_what_a_job_asks_of_a_cluster_re_runs_nothing(study):
    settings = ("jobs={memory: 9 GiB, runtime: 9}", "zoo={max_memory: 9 GiB}")
    assert NOTHING in planned(study, "--config", *settings).text


def test_other_curves_leave_networks_and_embedder_alone(study):
    jobs = planned(study, "--config", "explore={points: 12}").jobs
    assert set(jobs) == {"interpolation"} | ENDS | OTHER_PAGES


def test_more_networks_train_in_new_shards_only(study):
    ended = study.run("--summary", "--config", "zoo={instances: {train: 9}}")
    names = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
    grown = {(name, shard) for name in names for shard in ("001", "002")}
    assert ended.shards("train_shard") == ended.shards("extract_shard") == grown


@pytest.fixture
def edit(source):
    """Change a file of the code for the length of a test."""
    before = {}

    def change(name, old, new):
        path = source / name
        text = path.read_text()
        assert old in text
        before[path] = text, path.stat()
        path.write_text(text.replace(old, new, 1))

    yield change
    for path, (text, stat) in before.items():
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_comment_in_the_code_re_runs_nothing(study, edit):
    for name in ("zoo", "repro", "embed/trainer", "report/page", "store/format"):
        edit(f"workflow/lib/{name}.py", '"""', '# Seen.\n"""Indeed. ')
    assert NOTHING in planned(study).text


def test_a_change_of_a_page_trains_nothing(study, edit):
    edit("workflow/lib/report/multiarch.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    assert set(planned(study).jobs) == ENDS


def test_a_change_of_a_step_re_runs_it_and_what_follows(study, edit):
    edit("workflow/lib/explore/interpolation.py", "COLUMNS = (", "SEEN = 1\nCOLUMNS = (")
    assert set(planned(study).jobs) == {"interpolation"} | ENDS


def test_an_architecture_of_ones_own_re_runs_only_its_networks(study, edit):
    edit("workflow/lib/nets/vanilla_cnn.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    again = study.run("--summary").shards("train_shard")
    assert again == {("VanillaCNN", "000"), ("VanillaCNN", "001")}

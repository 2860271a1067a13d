"""What is up to date stays; what changes re-runs, with what depends on it and nothing else."""

import ast
import json

import pytest

NOTHING = "Nothing to be done"
ENDS = {"index", "digests", "all"}
PAGE = {"space_report", *ENDS}
ZOO = {"train_shard", "extract_shard", "catalogue", "train_fields", "extract_fields"}
SPACES = {"multiarch": "digits", "singlearch": "performance", "shapes": "chairs"}


def of(space, **keys):
    """The setting that changes keys of a space."""
    return f"spaces={json.dumps({space: keys})}"


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
    settings = ("jobs={memory: 9 GiB, runtime: 9}", "engine={max_memory: 9 GiB}")
    assert NOTHING in planned(study, "--config", *settings).text


def test_other_curves_leave_networks_and_embedder_alone(study):
    setting = of("multiarch", experiments={"interpolation": {"points": 12}})
    jobs = planned(study, "--config", setting).jobs
    assert set(jobs) == {"experiment"} | PAGE and jobs["experiment"] == jobs["space_report"] == 1


@pytest.mark.parametrize("space", SPACES)
def test_another_learning_rate_of_an_embedder_trains_it_and_no_zoo(study, space):
    setting = of(space, embedder={"learning_rate": 0.002})
    jobs = planned(study, "--config", setting).jobs
    trains = {"train_field_embedder"} if space == "shapes" else {"train_embedder"}
    trains |= {"unseen_embedder"} if space == "multiarch" else set()
    assert trains | PAGE - {"index"} <= set(jobs) and not set(jobs) & ZOO
    assert jobs["space_report"] == 1 and all(jobs[rule] == 1 for rule in trains)


@pytest.mark.parametrize(
    "setting",
    ["engine={max_memory: 5GB}", "spaces={multiarch: {variants: {wide: {embedder: {rank: 32}}}}}"],
)
def test_what_changes_no_result_re_runs_nothing(study, setting):
    assert set(planned(study, "--config", setting).jobs) <= ENDS


def test_a_run_of_some_spaces_makes_no_other(study):
    assert set(planned(study, "--config", "spaces=[multiarch]").jobs) <= ENDS


def test_more_networks_train_in_new_shards_only(study):
    more = {"digits": 43, "performance": 46, "chairs": 8}
    zoos = {zoo: {"instances": {"train": count}} for zoo, count in more.items()}
    ended = study.run("--summary", "--config", f"zoos={json.dumps(zoos)}")
    names = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
    # Each last shard had room left.
    grown = {("digits", name, f"{shard:03d}") for name in names for shard in range(1, 12)}
    grown |= {("performance", "ResNet8", f"{shard:03d}") for shard in range(1, 9)}
    assert ended.shards("train_shard") == ended.shards("extract_shard") == grown
    grown = {("chairs", "SIREN", "001"), ("chairs", "SIREN", "002")}
    assert ended.shards("train_fields") == ended.shards("extract_fields") == grown


def test_comments_and_formatting_in_the_code_re_run_nothing(study, source, edit):
    for name in (
        "zoo/extract",
        "core/repro",
        "embed/trainer",
        "report/page",
        "zoo/store/format",
    ):
        edit(f"workflow/lib/{name}.py", '"""', '# Seen.\n"""Indeed. ')
    for name in (
        "engine/ensemble",
        "engine/training/loop",
        "engine/kernels/conv",
        "nets/resnet",
        "report/sections/zoo",
    ):
        path = source / f"workflow/lib/{name}.py"
        edit(path, path.read_text(), ast.unparse(ast.parse(path.read_text())))
    assert NOTHING in planned(study).text


def test_a_change_of_a_section_trains_nothing(study, edit):
    edit("workflow/lib/report/sections/zoo.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    jobs = planned(study).jobs
    assert set(jobs) == PAGE and jobs["space_report"] == len(SPACES)


def test_a_change_of_a_step_re_runs_it_and_what_follows(study, edit):
    edit("workflow/lib/experiments/interpolation.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    jobs = planned(study).jobs
    assert set(jobs) == {"experiment"} | PAGE and jobs["experiment"] == 2


@pytest.mark.parametrize("module", ["ensemble", "training/loop", "kernels/conv"])
def test_a_change_of_what_trains_networks_trains_every_zoo_again(study, edit, module):
    edit(f"workflow/lib/engine/{module}.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    jobs = planned(study).jobs
    assert {"train_shard", "train_fields"} <= jobs.keys()
    assert jobs["train_shard"] == 10


def test_an_architecture_of_ones_own_re_runs_only_its_networks(study, edit):
    edit("workflow/lib/nets/vanilla_cnn.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    again = study.run("--summary").shards("train_shard")
    assert again == {("digits", "VanillaCNN", "000"), ("digits", "VanillaCNN", "001")}

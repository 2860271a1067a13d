"""What is up to date stays; what changes re-runs, with what depends on it and nothing else."""

import ast

import pytest

NOTHING = "Nothing to be done"
ENDS = {"index", "digests", "all"}
PAGE = {"multiarch_report", *ENDS}
ZOOS = {
    "multiarch": {"train_shard", "extract_shard", "catalogue", "teacher"},
    "singlearch": {"singlearch_shard", "singlearch_weights", "singlearch_catalogue"},
    "shapes": {"shapes_samples", "shapes_fields", "shapes_weights", "shapes_catalogue"},
}
EMBEDDERS = {
    "multiarch": {"train_embedder", "unseen_embedder"},
    "singlearch": {"singlearch_embedder"},
    "shapes": {"shapes_embedder"},
}


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
    assert set(jobs) == {"interpolation"} | PAGE


@pytest.mark.parametrize("part", ZOOS)
def test_another_learning_rate_of_an_embedder_trains_it_and_no_zoo(study, part):
    settings = {
        "multiarch": "embedder={learning_rate: 0.002}",
        "singlearch": "singlearch={embedder: {learning_rate: 0.002}}",
        "shapes": "shapes={embedder: {learning_rate: 0.002}}",
    }
    jobs = set(planned(study, "--config", settings[part]).jobs)
    assert EMBEDDERS[part] | ENDS | {f"{part}_report"} <= jobs
    assert not jobs & set().union(*ZOOS.values())
    for other in set(ZOOS) - {part}:
        assert not jobs & {f"{other}_report", *EMBEDDERS[other]}


@pytest.mark.parametrize(
    "setting", ["zoo={max_memory: 5GB}", "ablations={wide: {rank: 32}}", "parts=[multiarch]"]
)
def test_what_changes_no_result_re_runs_nothing(study, setting):
    assert set(planned(study, "--config", setting).jobs) <= ENDS


def test_more_networks_train_in_new_shards_only(study):
    more = {"zoo": 43, "singlearch": 46, "shapes": 8}
    settings = [f"{block}={{instances: {{train: {count}}}}}" for block, count in more.items()]
    ended = study.run("--summary", "--config", *settings)
    names = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
    # Each last shard had room left.
    grown = {(name, f"{shard:03d}") for name in names for shard in range(1, 12)}
    assert ended.shards("train_shard") == ended.shards("extract_shard") == grown
    grown = {("ResNet8", f"{shard:03d}") for shard in range(1, 9)}
    assert ended.shards("singlearch_shard") == ended.shards("singlearch_weights") == grown
    grown = {("SIREN", "001"), ("SIREN", "002")}
    assert ended.shards("shapes_fields") == ended.shards("shapes_weights") == grown


def test_comments_and_formatting_in_the_code_re_run_nothing(study, source, edit):
    for name in ("zoo", "repro", "embed/trainer", "report/page", "store/format"):
        edit(f"workflow/lib/{name}.py", '"""', '# Seen.\n"""Indeed. ')
    for name in (
        "ensemble",
        "training/loop",
        "kernels/conv",
        "nets/resnet",
        "report/figures/strips",
    ):
        path = source / f"workflow/lib/{name}.py"
        edit(path, path.read_text(), ast.unparse(ast.parse(path.read_text())))
    assert NOTHING in planned(study).text


def test_a_change_of_a_page_trains_nothing(study, edit):
    edit("workflow/lib/report/multiarch.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    assert set(planned(study).jobs) == PAGE


def test_a_change_of_a_plot_makes_reports_only(study, edit):
    edit("workflow/lib/report/figures/strips.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    pages = {f"{part}_report" for part in ZOOS}
    jobs = set(planned(study).jobs)
    assert "multiarch_report" in jobs and jobs <= pages | ENDS


def test_a_change_of_a_step_re_runs_it_and_what_follows(study, edit):
    edit("workflow/lib/explore/interpolation.py", "COLUMNS = (", "SEEN = 1\nCOLUMNS = (")
    assert set(planned(study).jobs) == {"interpolation"} | PAGE


@pytest.mark.parametrize("module", ["ensemble", "training/loop", "kernels/conv"])
def test_a_change_of_what_trains_networks_trains_every_zoo_again(study, edit, module):
    edit(f"workflow/lib/{module}.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    jobs = planned(study).jobs
    assert {"train_shard", "singlearch_shard", "shapes_fields"} <= jobs.keys()
    assert jobs["train_shard"] == 8


def test_an_architecture_of_ones_own_re_runs_only_its_networks(study, edit):
    edit("workflow/lib/nets/vanilla_cnn.py", "\n\n\n", "\n\nSEEN = 1\n\n\n")
    again = study.run("--summary").shards("train_shard")
    assert again == {("VanillaCNN", "000"), ("VanillaCNN", "001")}

"""`--use-conda`: environments are made, steps run in them, and an edited one is made again.

What stands in for conda here solves nothing; all else is as Snakemake does it with conda itself.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

import stand_in_conda
from lib.report.digests import content_digest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("mesh", "report", "torch")
STEP = re.compile(r'"\.\./envs/(\w+)\.yaml".*?"\.\./workflow/scripts/(\w+/\w+\.py)"', re.DOTALL)
# What Snakemake needs itself, and others import where they find it.
NEEDS = {"charset_normalizer", "psutil", "tabulate", "wcwidth"}
TARGETS = ("data/digits/train.h5", "zoos/chairs/shapes.csv", "zoos/chairs/catalogue.csv")


@pytest.fixture(scope="module", autouse=True)
def conda(tmp_path_factory):
    """The stand-in, found before any conda of this machine."""
    folder = stand_in_conda.install(tmp_path_factory.mktemp("conda") / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=":")
        yield folder / "conda"


@pytest.fixture(scope="module")
def made(source, tmp_path_factory, study):
    """A few steps of the tiny study, made in environments."""
    place = type(study)(source, tmp_path_factory.mktemp("made"))
    ended = place.run(*in_environments(place))
    assert ended.code == 0, ended.text[-5000:]
    return place


def in_environments(place):
    """The arguments that make a few steps, each in its environment."""
    return "--use-conda", "--cores", "2", *(f"results/tiny/{name}" for name in TARGETS)


def ran(place):
    """By the text of its file: the scripts an environment ran, and what they borrowed."""
    found = {}
    for made in place.folder.glob(".snakemake/conda/*.yaml"):
        lines = made.with_suffix("").joinpath("ran").read_text().splitlines()
        steps = [line.split() for line in lines if ".py" in line]
        scripts = {re.sub(r"^tmp\w+\.", "", Path(step[0]).name) for step in steps}
        found[made.read_text()] = scripts, {name for step in steps for name in step[1:]}
    return found


def environment(name):
    return (ROOT / f"envs/{name}.yaml").read_text()


def test_each_step_runs_in_its_environment_and_borrows_no_package_but_snakemake(made):
    found = ran(made)
    assert found.keys() == {environment("mesh"), environment("torch")}
    mesh, torch = found[environment("mesh")], found[environment("torch")]
    assert mesh[0] == {"prepare_meshes.py", "sample_shapes.py"}
    fields = {"train_fields.py", "extract_fields.py", "catalogue.py"}
    assert torch[0] == fields | {"prepare_images.py"}
    borrowed = {name for name in mesh[1] | torch[1] if not name.startswith("snakemake")}
    assert borrowed <= NEEDS


def test_results_are_the_same_in_environments(made, study):
    for name in TARGETS:
        assert content_digest(made.results / name) == study.digests[name]


def test_an_edited_environment_is_made_again_and_runs_its_steps_again(made, edit):
    edit("envs/mesh.yaml", "channels:", "# Edited.\nchannels:")
    ended = made.run(*in_environments(made))
    assert ended.code == 0, ended.text[-5000:]
    assert ended.jobs.keys() >= {"prepare_meshes", "sample_shapes"}
    assert "prepare_images" not in ended.jobs
    edited = "# Edited.\n" + environment("mesh")
    assert ran(made)[edited][0] == {"prepare_meshes.py", "sample_shapes.py"}


def test_versions_that_are_not_to_be_had_end_the_run_before_any_step(empty, edit):
    edit("envs/mesh.yaml", "h5py =", "h5py =0.")
    ended = empty.run(*in_environments(empty))
    assert ended.code != 0
    assert "PackagesNotFoundError: h5py =0." in ended.text
    assert not list(empty.folder.rglob("*.csv"))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_holds_what_its_steps_import(conda, tmp_path, name):
    steps = {
        step for path in (ROOT / "rules").glob("*.smk") for step in STEP.findall(path.read_text())
    }
    assert {environment for environment, _ in steps} == set(ENVIRONMENTS)
    imports = {
        ast.unparse(node)
        for environment, script in steps
        if environment == name
        for node in ast.parse((ROOT / "workflow/scripts" / script).read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    file = ROOT / f"envs/{name}.yaml"
    subprocess.run(
        [conda, "env", "create", "--file", file, "--prefix", tmp_path / "env"], check=True
    )
    lines = [f"import sys; sys.path.insert(0, {str(ROOT / 'workflow')!r})", *sorted(imports)]
    subprocess.run([tmp_path / "env/bin/python", "-I", "-c", "\n".join(lines)], check=True)

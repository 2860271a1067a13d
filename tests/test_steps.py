"""A plan is worked off as by Snakemake: in order, once, and again where something has changed."""

import json
from pathlib import Path

import pytest
from snakemake.iocontainers import Namedlist

from lib import cli as command
from lib.steps import Named, PlanError, read_plan, work_off, write_plan

# Notes its name, reads its inputs, waits, and writes the sum of them and of its parameter.
SCRIPT = """
import pathlib, time
with open("order.txt", "a") as stream:
    stream.write(snakemake.wildcards.name + " ")
numbers = [int(pathlib.Path(path).read_text()) for path in snakemake.input]
time.sleep(snakemake.params.get("seconds", 0))
for path in snakemake.output:
    pathlib.Path(path).write_text(str(sum(numbers) + snakemake.params["more"]))
"""


def files(paths):
    return {"files": paths, "names": {}}


def job(name, needs=(), more=1, **params):
    return {
        "rule": name.rstrip("0123456789"),
        "script": str(Path("script.py").absolute()),
        "wildcards": {"name": name},
        "input": files([f"{need}.txt" for need in needs]),
        "output": files([f"{name}.txt"]),
        "log": files([f"logs/{name}.log"]),
        "benchmark": f"benchmarks/{name}.tsv",
        "params": {"more": more, **params},
        "threads": 1,
        "resources": {},
    }


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)
    return tmp_path


def order():
    text = Path("order.txt").read_text() if Path("order.txt").exists() else ""
    Path("order.txt").unlink(missing_ok=True)
    return text.split()


def plan(*jobs):
    write_plan("plan.json", jobs)
    return "plan.json"


def test_steps_run_after_what_they_need_and_only_once(capsys):
    path = plan(job("a"), job("b", ["a"]), job("c", ["a", "b"]))
    assert work_off(path) == 0
    assert order() == ["a", "b", "c"]
    assert Path("c.txt").read_text() == "4"
    assert float(Path("benchmarks/c.tsv").read_text().splitlines()[1]) > 0
    assert work_off(path) == 0
    assert order() == []
    assert "3 of 3 steps are done" in capsys.readouterr().out


def test_a_change_runs_a_step_again_and_all_that_need_it():
    work_off(plan(job("a"), job("b"), job("c", ["a"])))
    order()
    changed = plan(job("a", more=5), job("b"), job("c", ["a"]))
    assert work_off(changed) == 0
    assert order() == ["a", "c"]
    Path("b.txt").unlink()
    work_off(changed)
    assert order() == ["b"]


def test_what_was_made_elsewhere_is_taken_as_it_is():
    Path("a.txt").write_text("7")
    work_off(plan(job("a"), job("b", ["a"])))
    assert order() == ["b"]
    assert Path("b.txt").read_text() == "8"


def test_a_step_that_was_killed_runs_again_though_its_output_is_there():
    path = plan(job("a"))
    read_plan(path)[0].note(False, 3.0)
    Path("a.txt").write_text("half")
    work_off(path)
    assert Path("a.txt").read_text() == "1"
    assert float(Path("benchmarks/a.tsv").read_text().split()[1]) > 3


def test_time_that_is_up_leaves_the_rest_for_the_next_call(capsys):
    path = plan(job("a"), job("b", ["a"], seconds=3600), job("c", ["b"]))
    work_off(path, ["a"])
    assert command.main(["run", path, "--minutes", "0.02"]) == 75
    assert "2 steps are left" in capsys.readouterr().out
    assert command.main(["run", path, "--list"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[-3:]] == [
        "done",
        "to",
        "to",
    ]


def test_only_the_rules_asked_for():
    path = plan(job("a1"), job("b1"), job("a2"))
    work_off(path, ["a"])
    assert order() == ["a1", "a2"]
    with pytest.raises(PlanError, match="no rule 'x', only a, b"):
        work_off(path, ["x"])


def test_side_by_side():
    work_off(plan(job("a", seconds=1), job("b", seconds=1), job("c", ["a", "b"])), at_once=3)
    found = order()
    assert set(found[:2]) == {"a", "b"} and found[2] == "c"


def test_what_is_wrong_is_said(capfd):
    with pytest.raises(PlanError, match="b cannot run: its input a.txt is missing"):
        work_off(plan(job("b", ["a"])))
    with pytest.raises(PlanError, match="a ended with status 1; its log is logs/a.log"):
        work_off(plan(job("a", more="one")))
    for text, wanted in (("{", "not a whole plan"), ('{"type": "x", "version": 1}', "not a plan")):
        Path("bad.json").write_text(text)
        with pytest.raises(PlanError, match=wanted):
            work_off("bad.json")
    assert command.main(["run", "none.json"]) == 1
    assert "none.json cannot be read" in capfd.readouterr().err


def test_named_lists_are_those_of_snakemake():
    theirs = Namedlist(["a", "b", "c", "d"])
    theirs._set_name("first", 0)
    theirs._set_name("index", 1, end=3)
    ours = Named(list(theirs), json.loads(json.dumps(dict(theirs._get_names()))))
    assert list(ours) == list(theirs)
    assert ours.first == theirs.first == ours["first"] and ours[3] == theirs[3]
    assert list(ours.index) == list(theirs.index)
    assert str(ours.index) == str(theirs.index) == "b c"
    assert dict(ours.items()) == dict(theirs.items()) and list(ours.keys()) == list(theirs.keys())
    assert ours.get("last", 5) == theirs.get("last", 5) == 5

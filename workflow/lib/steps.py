"""Work off a plan: run the scripts of a study's jobs one by one, without Snakemake.

A plan lists all jobs with what their scripts are told (`workflow/plan.py` writes it). Beside the
log of a job lies a stamp that says whether the job, as the plan has it, is done; outputs without a
stamp were made elsewhere and are taken as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lib.core.errors import InputError
from lib.core.lifeline import announce
from lib.core.repro import atomic

TYPE, VERSION = "netspace-plan", 1
STAMP = ".step"
POLL = 0.2  # seconds
PATIENCE = 10.0  # seconds that a job is given to end


class PlanError(InputError):
    """A plan cannot be read, or a step of it cannot be run."""


class Named(list):
    """A list some of whose parts have names, as scripts expect of Snakemake."""

    def __init__(self, values: Sequence[Any], names: Mapping[str, Sequence[int | None]]) -> None:
        """`names` holds a place, or the first place and the one behind the last, for each name."""
        super().__init__(values)
        for name, (start, end) in names.items():
            self.__dict__[name] = values[start] if end is None else Named(values[start:end], {})

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Named:
        """Values that all have names."""
        return cls(list(values.values()), {name: (k, None) for k, name in enumerate(values)})

    def __str__(self) -> str:
        return " ".join(map(str, self))

    def __getitem__(self, key):
        return self.__dict__[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, name: str, default: Any = None) -> Any:
        """The part of that name, or else `default`."""
        return self.__dict__.get(name, default)

    def keys(self):
        """All names."""
        return self.__dict__.keys()

    def items(self):
        """All names and their parts."""
        return self.__dict__.items()


@dataclass
class Step:
    """A job of a plan.

    Attributes:
        number: its place in the plan.
        job: what its script is told, as plain data.
        needs: the steps that make its inputs.
    """

    number: int
    job: Mapping[str, Any]
    needs: list[Step] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Rule and wildcards."""
        return " ".join([self.job["rule"], *map(str, self.job["wildcards"].values())])

    @property
    def stamp(self) -> Path:
        """Where it is noted whether it is done."""
        return Path(self.job["log"]["files"][0]).with_suffix(STAMP)

    @cached_property
    def digest(self) -> str:
        """Of the job as it is planned, and of all those before it."""
        text = json.dumps([self.job, *(step.digest for step in self.needs)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def noted(self) -> dict[str, Any] | None:
        """What its stamp says; None where there is none."""
        try:
            return json.loads(self.stamp.read_text())
        except FileNotFoundError:
            return None
        except ValueError:
            return {}

    def note(self, done: bool, seconds: float) -> None:
        """Stamp it; `seconds` is how long it has taken."""
        with atomic(self.stamp) as temporary:
            found = {"step": self.digest, "done": done, "seconds": seconds}
            temporary.write_text(json.dumps(found))

    def done(self) -> bool:
        """Whether all outputs are there and are, as far as that is noted, those of this plan."""
        if not all(Path(path).exists() for path in self.job["output"]["files"]):
            return False
        found = self.noted()
        return found is None or (found.get("step") == self.digest and found.get("done", False))


def write_plan(path: str | Path, jobs: Sequence[Mapping[str, Any]]) -> None:
    """Write jobs, each behind those whose outputs it needs, as a plan."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps({"type": TYPE, "version": VERSION, "jobs": jobs}, indent=1))


def read_plan(path: str | Path) -> list[Step]:
    """The steps of a plan, in order.

    Raises:
        PlanError: it is missing, damaged or none of a version known here.
    """
    try:
        plan = json.loads(Path(path).read_text())
        if (plan["type"], plan["version"]) != (TYPE, VERSION):
            raise PlanError(f"{path}: not a plan of version {VERSION}")
        steps = [Step(number, job) for number, job in enumerate(plan["jobs"])]
        makers = {file: step for step in steps for file in step.job["output"]["files"]}
        for step in steps:
            made = {makers[file].number for file in step.job["input"]["files"] if file in makers}
            step.needs = [steps[number] for number in sorted(made)]
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path}: not a whole plan: {error}") from None
    return steps


def execute(step: Step) -> None:
    """Run the script of a step in this process, from the folder of the study."""
    job = step.job
    told = {kind: Named(**_args(job[kind])) for kind in ("input", "output", "log")}
    told |= {kind: Named.of(job[kind]) for kind in ("params", "wildcards", "resources")}
    script = Path(__file__).parents[1] / job["script"]
    snakemake = SimpleNamespace(threads=job["threads"], rule=job["rule"], **told)
    runpy.run_path(str(script), {"snakemake": snakemake}, "__main__")


def _args(files: Mapping[str, Any]) -> dict[str, Any]:
    return {"values": files["files"], "names": files["names"]}


def work_off(
    plan: str | Path,
    rules: Sequence[str] = (),
    minutes: float | None = None,
    at_once: int = 1,
) -> int:
    """Run the steps of a plan that are not done, each in a process that ends with this one.

    Args:
        plan: the plan.
        rules: run steps of these rules alone; what they need has to be there.
        minutes: stop after so many, in the middle of a step; the next call goes on from there,
            with what the step itself has saved.
        at_once: how many steps may run side by side.

    Returns:
        The number of steps left to do.

    Raises:
        PlanError: there is no such plan or rule, a step has failed, or has no input.
    """
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    steps = chosen(plan, rules)
    announce()
    left = [step for step in steps if not step.done()]
    print(f"{len(steps) - len(left)} of {len(steps)} steps are done", flush=True)
    running: dict[int, tuple] = {}
    total = len(left)
    try:
        while left or running:
            for step in _ready(left, running)[: at_once - len(running)]:
                left.remove(step)
                running[step.number] = step, *_start(plan, step)
                print(f"{step.label} ({total - len(left)} of {total})", flush=True)
            if not running:
                raise PlanError(_why_not(left[0]))
            if time.monotonic() >= end:
                break
            for number, (step, process, start, before) in list(running.items()):
                if process.poll() is not None:
                    del running[number]
                    _end(step, process.returncode, before + time.monotonic() - start)
            time.sleep(POLL)
    finally:
        stopped = [_stop(*found) for found in running.values()]
    return len(left) + len(stopped)


def chosen(plan: str | Path, rules: Sequence[str] = ()) -> list[Step]:
    """The steps of a plan, in order, or those of some rules.

    Raises:
        PlanError: there is no such plan or rule.
    """
    steps = read_plan(plan)
    known = sorted({step.job["rule"] for step in steps})
    for rule in rules:
        if rule not in known:
            raise PlanError(f"{plan} has no rule {rule!r}, only {', '.join(known)}")
    return [step for step in steps if not rules or step.job["rule"] in rules]


def _ready(left: Sequence[Step], running: Mapping[int, tuple]) -> list[Step]:
    """Those that nothing under way or left to do is needed by, and whose inputs are there."""
    waiting = {step.number for step in left} | set(running)
    return [
        step
        for step in left
        if not waiting & {need.number for need in step.needs} and not _missing(step)
    ]


def _missing(step: Step) -> list[str]:
    return [path for path in step.job["input"]["files"] if not Path(path).exists()]


def _why_not(step: Step) -> str:
    return f"{step.label} cannot run: its input {_missing(step)[0]} is missing"


def _start(plan: str | Path, step: Step) -> tuple[subprocess.Popen, float, float]:
    """Start a step: the process, now, and the seconds that it has been run for before."""
    found = step.noted() or {}
    before = found.get("seconds", 0.0) if found.get("step") == step.digest else 0.0
    step.note(False, before)
    for path in step.job["output"]["files"]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.getenv("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "lib", "run", str(plan), "--step", str(step.number)],
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONPATH": path},
    )
    return process, time.monotonic(), before


def _end(step: Step, status: int, seconds: float) -> None:
    """Note how a step has ended."""
    missing = [path for path in step.job["output"]["files"] if not Path(path).exists()]
    if status or missing:
        what = f"ended with status {status}" if status else f"did not make {missing[0]}"
        raise PlanError(f"{step.label} {what}; its log is {step.job['log']['files'][0]}")
    if path := step.job["benchmark"]:
        with atomic(path) as temporary:
            temporary.write_text(f"s\n{seconds:.4f}\n")
    from lib.core.checkpoint import FINISHED

    step.note(True, seconds)
    Path(step.job["log"]["files"][0]).with_suffix(FINISHED).unlink(missing_ok=True)


def _stop(step: Step, process: subprocess.Popen, start: float, before: float) -> Step:
    """End a step that is under way."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    step.note(False, before + time.monotonic() - start)
    return step

"""Write all jobs of a study, in order, as a plan that `python -m lib run` works off by itself.

Run where Snakemake is; the plan is run where it is not (docs/guides/steps.md).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

ROOT = Path(__file__).parents[1]
PLENTY = 10**4  # cores: a job's threads are those that its rule asks for


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="rules or files (default: all)"
    )
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], metavar="YAML")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--directory", type=Path, metavar="FOLDER", help="as of Snakemake")
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="the plan")
    options = parser.parse_args()
    out = options.out.absolute()
    found = jobs(options.targets, options.configfile, options.config, options.directory)
    sys.path.insert(0, str(ROOT / "workflow"))
    from lib.steps import write_plan

    write_plan(out, found)
    print(f"{options.out}: {len(found)} steps")
    return 0


def jobs(
    targets: list[str], configfiles: list[Path], settings: list[str], directory: Path | None
) -> list[dict[str, Any]]:
    """All jobs that make the targets, each after those it needs, as plain data."""
    from snakemake.cli import parse_config

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        dag = api.workflow(
            resource_settings=ResourceSettings(cores=PLENTY),
            config_settings=ConfigSettings(
                config=parse_config(settings), configfiles=[path.absolute() for path in configfiles]
            ),
            snakefile=ROOT / "Snakefile",
            workdir=directory,
        ).dag(DAGSettings(targets=frozenset(targets), forceall=True))
        workflow = dag.workflow_api._workflow
        workflow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        levels = [
            sorted(level, key=lambda job: (job.rule.name, *job.wildcards))
            for level in workflow.dag.toposorted()
        ]
        return [_plain(job) for level in levels for job in level if job.rule.script]


def _plain(job: Any) -> dict[str, Any]:
    """What a script is told of its job."""
    script = (Path(str(job.rule.basedir)) / job.rule.script).resolve()
    return {
        "rule": job.rule.name,
        "script": script.relative_to(ROOT / "workflow").as_posix(),
        "wildcards": dict(job.wildcards.items()),
        "input": _files(job.input),
        "output": _files(job.output),
        "log": _files(job.log),
        "benchmark": None if job.benchmark is None else _path(job.benchmark),
        "params": {name: _value(value) for name, value in job.params.items()},
        "threads": job.threads,
        "resources": {
            name: value
            for name, value in job.resources.items()
            if isinstance(value, int) and not name.startswith("_")
        },
    }


def _files(files: Any) -> dict[str, Any]:
    """Files in order, and the names of some: a place, or those from one place up to another."""
    names = {name: list(place) for name, place in files._get_names()}
    return {"files": [_path(path) for path in files], "names": names}


def _path(path: Any) -> str:
    """A path as it is from the folder of the study, so that the folder can be moved."""
    path = Path(str(path))
    inside = path.is_absolute() and path.is_relative_to(Path.cwd())
    return path.relative_to(Path.cwd()).as_posix() if inside else path.as_posix()


def _value(value: Any) -> Any:
    """A parameter as JSON has it."""
    return json.loads(json.dumps(value, default=os.fspath))


if __name__ == "__main__":
    sys.exit(main())

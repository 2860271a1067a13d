"""A stand-in for `conda`, for machines without it: what Snakemake asks of one, and no more.

Its environments are virtual environments that hold the packages an environment file pins and what
those need, out of the environment that runs this, and nothing else. Where a pin is not the version
installed here, it fails, as conda does where a version is not to be had. It does not solve, nor
does it provide another Python than the one that runs it.

`python tests/stand_in_conda.py install FOLDER` makes `FOLDER/bin/conda` and `FOLDER/bin/activate`.
"""

import json
import os
import re
import shlex
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml
from packaging.requirements import Requirement

PYPI_NAME = {"pytorch": "torch", "open3d": "open3d-cpu"}
# Each environment keeps a list of what its Python ran, with the packages that came from elsewhere:
# Snakemake offers those of its own to every job.
NOTES = """import atexit, sys

def note():
    files = {n: getattr(m, "__file__", None) or "" for n, m in list(sys.modules.items())}
    borrowed = {n.partition(".")[0] for n, file in files.items() if "site-packages" in file
                and not file.startswith(sys.prefix)}
    with open(f"{sys.prefix}/ran", "a") as stream:
        print(sys.argv[0], *sorted(borrowed), file=stream)

atexit.register(note)
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install(folder: Path) -> Path:
    """Put `conda` and the `activate` that Snakemake sources into `folder/bin`; returns that."""
    command = shlex.join([sys.executable, "-I", str(Path(__file__).resolve())])
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/activate").write_text(ACTIVATE)
    (folder / "bin/conda").write_text(
        f'#!/bin/sh\nCONDA_ROOT={shlex.quote(str(folder))} exec {command} "$@"\n'
    )
    (folder / "bin/conda").chmod(0o755)
    return folder / "bin"


def pins(file: Path) -> dict[str, str]:
    """Package, as PyPI calls it, to version, of an environment file; without Python's."""
    listed = yaml.safe_load(file.read_text())["dependencies"]
    found = dict(re.fullmatch(r"(\S+) =(\S+)", line).groups() for line in listed)
    return {PYPI_NAME.get(name, name): found[name] for name in found if name != "python"}


def create(file: Path, prefix: Path) -> None:
    """Make the environment; ends the process where a pin cannot be had."""
    for name, version in (wanted := pins(file)).items():
        try:
            installed = distribution(name).version.partition("+")[0]
        except PackageNotFoundError:
            installed = "missing"
        if installed != version:
            sys.exit(f"PackagesNotFoundError: {name} ={version} (here: {installed})")
    venv.EnvBuilder(symlinks=True, with_pip=False).create(prefix)
    (packages,) = prefix.glob("lib/python*/site-packages")
    for name in with_needs(wanted):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(found.locate_file(top))
    (packages / "sitecustomize.py").write_text(NOTES)


def with_needs(names) -> set[str]:
    """Distributions, all they need, and all those need."""
    todo, found = list(names), set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            for line in distribution(name).requires or ():
                need = Requirement(line)
                if not need.marker or need.marker.evaluate({"extra": ""}):
                    todo.append(need.name)
    return found


def main(arguments: list[str]) -> None:
    """Answer one call."""
    if arguments[0] == "install":
        print(install(Path(arguments[1]).absolute()))
    elif arguments == ["info", "--json"]:
        print(json.dumps({"conda_prefix": os.environ["CONDA_ROOT"], "platform": "linux-64"}))
    elif arguments == ["--version"]:
        print("conda 24.7.1")
    elif arguments == ["config", "--get", "channel_priority", "--json"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments[:2] == ["env", "create"]:
        create(*(Path(arguments[arguments.index(key) + 1]) for key in ("--file", "--prefix")))
    elif arguments[0] != "clean":
        sys.exit(f"this stand-in for conda does not know: {shlex.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])

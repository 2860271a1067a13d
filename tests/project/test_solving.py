"""The conda environments, solved by a solver of conda's ecosystem from a channel made here.

The channel knows every package of the lock, with the dependencies that the installed package
declares, and an older and a newer version of each that nothing should choose. What conda-forge
itself offers is not known here.
"""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from rattler import BuildString, Channel, GenericVirtualPackage, PackageName, Version, solve
from rattler.exceptions import SolverError

from pinned import ENVIRONMENTS, LOCK, normal
from stand_in_conda import PYPI_NAME

CONDA_NAME = {theirs: ours for ours, theirs in PYPI_NAME.items()}
PYTHONS = ("3.10.9", "3.11.9", "3.12.7", "3.13.1")
SYSTEM = [
    GenericVirtualPackage(PackageName(name), Version(version), BuildString("0"))
    for name, version in (("__unix", "0"), ("__linux", "6.1"), ("__glibc", "2.36"))
]


def conda_name(name: str) -> str:
    return CONDA_NAME.get(normal(name), normal(name))


def needs(package: str) -> list[str]:
    """What an installed package of the lock says it needs, as conda writes it."""
    declared = distribution(package)
    found = [f"python {declared.metadata['Requires-Python'] or '>=3'}"]
    for text in declared.requires or ():
        needed = Requirement(text)
        wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
        if wanted and normal(needed.name) in LOCK:
            found.append(f"{conda_name(needed.name)} {needed.specifier}".strip())
    return [re.sub(r"\s*,\s*", ",", line) for line in found]


def record(name: str, version: str, depends: list[str]) -> tuple[str, dict]:
    said = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": depends}
    return f"{name}-{version}-0.tar.bz2", said | {"subdir": "linux-64", "sha256": "0" * 64}


@pytest.fixture(scope="module")
def channel(tmp_path_factory) -> Channel:
    """Every package at its version of the lock, and two others of each."""
    folder = tmp_path_factory.mktemp("channel")
    records = [record("python", version, []) for version in PYTHONS]
    for package, version in LOCK.items():
        name, depends = conda_name(package), needs(package)
        records += [record(name, v, depends) for v in ("0.0.1", version, "9999")]
    for subdir, packages in (("linux-64", dict(records)), ("noarch", {})):
        (folder / subdir).mkdir()
        content = {"info": {"subdir": subdir}, "packages": packages, "packages.conda": {}}
        (folder / subdir / "repodata.json").write_text(json.dumps(content))
    return Channel(folder.as_uri())


def solved(channel: Channel, specs: list[str]) -> dict[str, str]:
    """Name and version of each package that the solver chooses."""
    limits = {"timeout": timedelta(seconds=60), "virtual_packages": SYSTEM}
    work = solve([channel], specs, platforms=["linux-64", "noarch"], **limits)
    with ThreadPoolExecutor(1) as pool:  # tests with a browser leave a running loop in this thread
        found = pool.submit(asyncio.run, work).result()
    return {one.name.normalized: str(one.version) for one in found}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_pins_go_together_and_bring_what_they_need(channel, path: Path):
    asked = yaml.safe_load(path.read_text())["dependencies"]
    found = solved(channel, asked)
    assert found["python"] == "3.12.7"
    for line in asked[1:]:
        name, version = line.split(" =")
        assert found[name] == version
    for name in found.keys() - {"python"}:
        for line in needs(PYPI_NAME.get(name, name)):
            assert line.split(" ")[0] in found, f"{name} needs {line}"


@pytest.mark.parametrize(
    "change", [{"numpy": "1.0"}, {"python": "3.10"}, {"h5py": "3.16.1"}, {"safetensor": "0.8.0"}]
)
def test_what_does_not_go_together_is_found_out(channel, change):
    asked = yaml.safe_load(ENVIRONMENTS[0].read_text())["dependencies"]
    pins = dict(line.split(" =") for line in asked) | change
    with pytest.raises(SolverError):
        solved(channel, [f"{name} ={version}" for name, version in pins.items()])

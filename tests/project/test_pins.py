import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from pinned import ENVIRONMENTS, LOCK, normal, pins
from stand_in_conda import PYPI_NAME

ROOT = Path(__file__).parents[2]
PACKAGE_OF_MODULE = {
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "open3d": "open3d-cpu",
}


def test_the_lock_holds_what_is_asked_for():
    asked = pins("requirements.in")
    assert asked.items() <= LOCK.items()


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_conda_environments_pin_the_versions_of_the_lock(path):
    environment = yaml.safe_load(path.read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    for dependency in environment["dependencies"]:
        match = re.fullmatch(r"([a-z0-9-]+) =([0-9][0-9A-Za-z.]*)", dependency)
        assert match, f"{path.name}: {dependency!r} is not `name =version`"
        name, version = match.groups()
        if name == "python":
            assert version in ("3.11", "3.12")
        else:
            assert LOCK.get(PYPI_NAME.get(name, name)) == version, f"{path.name}: {name}"


def test_every_import_of_lib_is_a_direct_requirement():
    asked = pins("requirements.in")
    imported = set()
    for path in (ROOT / "workflow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    foreign = imported - sys.stdlib_module_names - {"lib"}
    assert {normal(PACKAGE_OF_MODULE.get(name, name)) for name in foreign} <= asked.keys()


def test_the_build_needs_nothing_beyond_the_lock():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert [re.split(r"[<>=]", requirement)[0] for requirement in build] == ["setuptools"]
    assert "setuptools" in LOCK

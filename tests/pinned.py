"""The versions that the project pins."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def normal(name: str) -> str:
    """A package name as PyPI compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """Package to version; every line must be `name==version` and nothing else."""
    lines = (ROOT / file).read_text().splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][0-9A-Za-z.]*)", line)
            assert match, f"{file}: {line!r} is not name==version"
            assert normal(match[1]) not in found, f"{file}: {match[1]} twice"
            found[normal(match[1])] = match[2]
    return found


LOCK = pins("requirements.txt")

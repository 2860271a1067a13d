"""Every key of the configuration before data, zoos and spaces had names says where it went."""

import re
from pathlib import Path

import pytest

from lib.config import ConfigError, Study
from lib.config.moved import MOVED, moved
from lib.study import parse_study
from refusals import nest

# The schema's keys as they were, one path a line.
OLD = (Path(__file__).parent / "old_keys.txt").read_text().split()
UNCHANGED = ("name", "seed", "results", "device", "threads", "jobs")


def now(path, words):
    """Where an old key is now: the place its message names, and what lies inside as it was."""
    place = re.match(r"[\w.]+", words)[0]
    key = max((key for key in MOVED if path == key or path.startswith(f"{key}.")), key=len)
    return place + path[len(key) :]


@pytest.mark.parametrize("path", OLD)
def test_an_old_key_is_refused_and_says_where_it_is_now(path):
    if path.split(".")[0] in UNCHANGED:
        assert moved(nest(path, 1)) == []
        return
    (line,) = moved(nest(path, 1))
    with pytest.raises(ConfigError) as caught:
        parse_study(nest(path, 1), "my.yaml")
    assert str(caught.value).startswith("my.yaml is of an older version")
    assert str(caught.value).endswith(f"\n  {line}")
    key, _, words = line.partition(" is now ")
    assert path == key or path.startswith(f"{key}.")
    if path in ("parts", "ablations") or path.endswith(".ablations"):
        return
    model = Study().model_dump()
    for name in now(path, words).split("."):
        if model in (None, {}):  # a block that the default study leaves empty
            return
        assert name in model, f"{path}: there is no {now(path, words)}"
        model = model[name]


def test_every_line_of_the_table_is_an_old_key():
    blocks = {path.rpartition(".")[0] for path in OLD} | {p.split(".")[0] for p in OLD}
    assert set(MOVED) <= {*OLD, *blocks}


def test_a_whole_old_config_gets_one_line_for_each_key_that_moved():
    old = {
        "images": {"size": 8, "path": "x"},
        "zoo": {"width": 3, "training": {"epochs": 1}},
        "parts": ["shapes"],
        "seed": 3,
    }
    assert moved(old) == [
        "images is now data.digits, whose kind is images",
        "zoo.width is now engine.width",
        "zoo is now zoos.digits",
        "parts is now a list of names under spaces, [multiarch] say",
    ]
    assert moved({"seed": 1}) == []

"""The files of `config/` that are generated from the model, and the command that does it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import jsonschema
import pytest
import yaml
from pydantic import Field

from lib.__main__ import main
from lib.config import Block, Study
from lib.config import docs as config_docs
from lib.config.reference import anchor
from lib.config.types import by_kind
from lib.study import load_study, parse_study

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"


def test_the_generated_files_are_up_to_date():
    assert config_docs.drift(CONFIG) == [], "run `python -m lib config`"


def test_the_default_file_is_the_default_study():
    assert Study.model_validate(yaml.safe_load((CONFIG / "config.yaml").read_text())) == Study()
    assert load_study(CONFIG / "config.yaml") == parse_study({})


def test_the_default_file_holds_every_key_in_the_order_of_the_model():
    def keys(block):
        return [
            (key, keys(value)) if isinstance(value, dict) else key for key, value in block.items()
        ]

    raw = yaml.safe_load((CONFIG / "config.yaml").read_text())
    assert keys(raw) == keys(Study().model_dump())


def test_every_block_and_every_key_is_described():
    shape = Study.model_json_schema()
    for name, block in {"Study": shape, **shape["$defs"]}.items():
        assert block.get("description"), name
        for key, field in block["properties"].items():
            assert field.get("description"), f"{name}.{key}"


def test_a_key_is_described_once_in_the_default_file():
    text = (CONFIG / "config.yaml").read_text()
    assert text.count("# directions of change per architecture") == 1
    assert text.count("rank: 128") == 3


def subclasses(model):
    return {model}.union(*map(subclasses, model.__subclasses__()))


def test_every_default_is_valid():
    count = 0
    for model in subclasses(Block):
        whole = all(not field.is_required() for field in model.model_fields.values())
        if model.__module__.startswith("lib.config.") and whole and model.__name__ != "Drawn":
            assert model.model_validate(model().model_dump(mode="json")) == model()
            count += 1
    assert count > 25


def test_the_schema_is_json_and_refuses_unknown_keys_everywhere():
    shape = json.loads((CONFIG / "schema.json").read_text())
    for block in (shape, *shape["$defs"].values()):
        assert block["additionalProperties"] is False


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_keeps_to_the_schema(path):
    shape = json.loads((CONFIG / "schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), shape)


@pytest.mark.parametrize(
    ("raw", "fits"),
    [
        ({"spaces": ["multiarch"]}, True),
        ({"spaces": {"mine": {"zoo": "digits", "experiments": ["novelty"]}}}, True),
        ({"zoos": {"mine": {"data": "digits", "imported": "there"}}}, True),
        ({"spaces": {"mine": {"zo": "digits"}}}, False),
        ({"spaces": {"mine": {"zoo": 3}}}, False),
        ({"data": {"mine": {"kind": "sounds"}}}, False),
    ],
)
def test_an_editor_that_knows_the_schema_tells_right_from_wrong(raw, fits):
    shape = json.loads((CONFIG / "schema.json").read_text())
    assert jsonschema.Draft202012Validator(shape).is_valid(raw) is fits


def test_the_reference_has_a_row_for_each_key_and_its_links_lead_somewhere():
    text = config_docs.readme()
    rows = re.findall(r"^\| `(\w+)` \|", text, re.M)
    shape = Study.model_json_schema()
    for block in (shape, *shape["$defs"].values()):
        assert set(block["properties"]) <= set(rows)
    titles = re.findall(r"^## (.+)$", text, re.M)
    anchors = {anchor(title) for title in titles}
    assert len(anchors) == len(titles) == len(shape["$defs"]) + 2
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {5}


class Inner(Block):
    """An inner block."""

    rate: float = Field(1e-5, gt=0, description="a rate")
    text: str = Field("no", description="either | or")


class Round(Block):
    """A round thing."""

    kind: Literal["round"] = Field("round", description="round")
    inner: Inner = Field(Inner(rate=3), description="a block again")


class Square(Block):
    """A square thing."""

    kind: Literal["square"] = Field("square", description="square")
    side: int = Field(description="its side")


class Outer(Block):
    """A model with what the study's has not: the generators know no block by name."""

    maybe: Inner | None = Field(None, description="perhaps a block")
    given: Inner | None = Field(Inner(rate=2), description="perhaps a block")
    several: tuple[Inner, ...] = Field((Inner(),), description="several blocks")
    named: dict[str, Inner] = Field({"a": Inner()}, description="blocks by name")
    things: dict[str, by_kind(Round, Square)] = Field(
        {"a": Square(side=2), "b": Round()}, description="things by name"
    )
    pair: tuple[int, Annotated[float, Field(lt=1)]] = Field((1, 0.5), description="a pair")
    either: Literal["a", 1] | bool = Field(True, description="a choice")
    plain: dict[str, int] = Field({"b": 1, "a": 2}, description="numbers by name")
    words: str = Field("a: b # c\n'd'", description="awkward text")


def test_other_models_are_written_as_well(tmp_path):
    assert config_docs.write(tmp_path, Outer) == ["README.md", "schema.json", "config.yaml"]
    assert config_docs.write(tmp_path, Outer) == []
    raw = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert Outer.model_validate(raw) == Outer()
    assert raw["given"] == {"rate": 2.0, "text": "no"} and list(raw["plain"]) == ["b", "a"]
    text = (tmp_path / "README.md").read_text()
    for part in (
        "## `maybe`\n",
        "## `things.NAME` of round\n",
        "## `things.NAME` of square\n",
        "| `rate` | number > 0 | `1.0e-05` | a rate |",
        "| `inner` | [maybe](#maybe) | see there; `rate: 3.0` |",
        "| `side` | whole number | required |",
        "list: whole number; number < 1",
        "| `maybe` | [maybe](#maybe) | `null` |",
        "| `given` | [maybe](#maybe) | see there; `rate: 2.0` |",
        "| `named` | a block for each name: [maybe](#maybe) | `a` |",
        "either \\| or",
    ):
        assert part in text, part
    assert text.count("## ") == text.count("\n## ") == 4


def test_the_command_checks_and_writes(tmp_path, capsys):
    shutil.copytree(CONFIG, tmp_path / "config")
    folder = str(tmp_path / "config")
    assert main(["config", folder, "--check"]) == 0
    assert capsys.readouterr() == ("", "")
    (tmp_path / "config" / "schema.json").write_text("{}")
    (tmp_path / "config" / "README.md").unlink()
    assert main(["config", folder, "--check"]) == 1
    told = capsys.readouterr()
    assert told.out.count("out of date") == 2 and f"python -m lib config {folder}" in told.err
    assert (tmp_path / "config" / "schema.json").read_text() == "{}"
    assert main(["config", folder]) == 0
    assert capsys.readouterr().out.count("written") == 2
    assert config_docs.drift(folder) == []
    assert (tmp_path / "config" / "tiny.yaml").read_text() == (CONFIG / "tiny.yaml").read_text()


def test_the_command_names_a_missing_folder(tmp_path, capsys):
    for check in ([], ["--check"]):
        assert main(["config", str(tmp_path / "nowhere"), *check]) == 1
        assert "nowhere: no such folder" in capsys.readouterr().err


def test_the_command_runs_as_a_module_without_waiting_for_torch():
    code = (
        "import runpy, sys; sys.argv = ['lib', 'config', '--check']\n"
        "try: runpy.run_module('lib', run_name='__main__')\n"
        "except SystemExit as end: sys.exit(end.code or ('torch' in sys.modules and 9))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
    )
    assert ended.returncode == 0

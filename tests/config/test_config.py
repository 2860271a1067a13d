"""The configuration: its generated files, what is accepted, and what is said of what is not."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from lib.cli import main
from lib.config import Block, ConfigError, Drawn, Instances, Study, parse_memory
from lib.config import docs as config_docs
from lib.study import load_study, parse_study
from lib.zoo.extract import split_of

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
SHA = "0" * 64


def refused(raw, *parts):
    """Assert that `raw` is refused with one message that holds all parts; the message."""
    with pytest.raises(ConfigError) as caught:
        parse_study(raw, "my.yaml")
    message = str(caught.value)
    assert message.startswith("my.yaml is not a valid study:\n  ")
    for part in parts:
        assert part in message
    return message


def nest(path, value):
    """{"a": {"b": value}} for the path "a.b"."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


# the generated files


def test_the_generated_files_are_up_to_date():
    assert config_docs.drift(CONFIG) == [], "run `python -m lib config`"


def test_the_default_file_is_the_default_study():
    assert load_study(CONFIG / "config.yaml") == Study() == parse_study({})


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


def test_every_default_is_valid():
    for model in {Study, *Block.__subclasses__()}:
        if model.__module__ == Study.__module__:
            assert model.model_validate(model().model_dump(mode="json")) == model()


def test_the_schema_is_json_and_refuses_unknown_keys_everywhere():
    shape = json.loads((CONFIG / "schema.json").read_text())
    for block in (shape, *shape["$defs"].values()):
        assert block["additionalProperties"] is False


def test_the_reference_has_a_row_for_each_key_and_its_links_lead_somewhere():
    text = config_docs.readme()
    rows = re.findall(r"^\| `(\w+)` \|", text, re.M)
    shape = Study.model_json_schema()
    for block in (shape, *shape["$defs"].values()):
        assert set(block["properties"]) <= set(rows)
    titles = re.findall(r"^## (.+)$", text, re.M)
    anchors = {re.sub(r"[^\w-]", "", title.lower()) for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {5}


class Inner(Block):
    """An inner block."""

    rate: float = Field(1e-5, gt=0, description="a rate")
    text: str = Field("no", description="either | or")


class Outer(Block):
    """A model with what the study's has not: the generators know no block by name."""

    maybe: Inner | None = Field(None, description="perhaps a block")
    given: Inner | None = Field(Inner(rate=2), description="perhaps a block")
    several: tuple[Inner, ...] = Field((Inner(),), description="several blocks")
    named: dict[str, Inner] = Field({"a": Inner()}, description="blocks by name")
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
        "## `given`\n",
        "## `several.NAME`",
        "## `named.NAME`",
        "| `rate` | number > 0 | `2.0` | a rate |",
        "list: whole number; number < 1",
        "| `maybe` | [maybe](#maybe) | `null` |",
        "either \\| or",
    ):
        assert part in text, part


# the command line


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


# accepted


def test_the_tiny_study_is_small_and_apart_from_the_default_one():
    tiny, default = load_study(CONFIG / "tiny.yaml"), Study()
    assert tiny.name == "tiny" and tiny.architectures == default.architectures
    counts = tiny.zoo.instances
    assert counts.total <= 6 and counts.test >= 2
    assert tiny.zoo.shard_size < counts.total, "several shards, the last one smaller"
    assert Path(tiny.results).resolve() != Path(default.results).resolve()
    made = {"multiarch", "singlearch", "shapes", "bench", "zoo", "weights", "images", "embedder"}
    assert Path(tiny.results).name not in made


def test_snakemake_merges_to_the_same_study():
    from snakemake.utils import update_config

    raw = yaml.safe_load((CONFIG / "config.yaml").read_text())
    update_config(raw, yaml.safe_load((CONFIG / "tiny.yaml").read_text()))
    assert parse_study(raw) == load_study(CONFIG / "tiny.yaml")


def test_values_of_the_command_line_come_as_text_and_are_read_as_numbers():
    raw = {
        "seed": "3",
        "zoo": {"training": {"learning_rate": "1e-3", "augmentation": {"flip": "true"}}},
    }
    study = parse_study(raw)
    assert study.seed == 3 and study.zoo.training.learning_rate == 1e-3
    assert study.zoo.training.augmentation.flip is True


def test_a_study_does_not_change():
    with pytest.raises(ValueError):
        Study().seed = 1
    with pytest.raises(ValueError):
        Study().zoo.training.epochs = 1


def test_test_networks_stay_when_a_zoo_grows():
    small = Instances(train=3, validation=1, test=2)
    large = Instances(train=9, validation=1, test=2)
    assert (
        [split_of(i, small) for i in range(small.total)]
        == [split_of(i, large) for i in range(small.total)]
        == ["test", "test", "validation", "train", "train", "train"]
    )


# refused


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("zoo.instances.train", 0, ["must be greater than or equal to 1", "got 0"]),
        ("zoo.instances.test", 0, ["must be greater than or equal to 1", "got 0"]),
        ("zoo.overrides.ResNet8.validation", 0, ["must be greater than or equal to 1", "got 0"]),
        ("zoo.shard_size", 0, ["must be greater than or equal to 1", "got 0"]),
        ("zoo.shard_size", 2.5, ["must be a whole number", "got 2.5"]),
        ("zoo.training.learning_rate", -0.1, ["must be greater than 0", "got -0.1"]),
        ("zoo.training.learning_rate", 0, ["must be greater than 0", "got 0"]),
        ("zoo.training.learning_rate", math.nan, ["must be a finite number", "got nan"]),
        ("zoo.training.learning_rate", math.inf, ["must be a finite number", "got inf"]),
        ("zoo.training.momentum", math.nan, ["must be a finite number", "got nan"]),
        ("zoo.training.momentum", 1, ["must be less than 1", "got 1"]),
        ("zoo.training.epochs", "many", ["must be a valid integer", "got 'many'"]),
        ("zoo.training.epochs", [5], ["must be a valid integer", "got [5]"]),
        ("zoo.training.epochs", None, ["must be a valid integer", "got None"]),
        ("zoo.training.epochs", True, ["true and false are not allowed", "got True"]),
        ("zoo.training.weight_decay", "small", ["must be a valid number", "got 'small'"]),
        ("zoo.training.schedule", "linear", ["must be 'constant', 'step' or 'cosine'"]),
        ("zoo.training.augmentation.flip", "perhaps", ["must be a valid boolean", "got 'perhaps'"]),
        ("zoo.training", [1], ["must be a block of `key: value` lines", "got [1]"]),
        ("zoo", None, ["must be a block of `key: value` lines", "got None"]),
        ("zoo.overrides", [], ["must be a block of `key: value` lines", "got []"]),
        ("seed", -1, ["must be greater than or equal to 0", "got -1"]),
        ("threads", 0, ["must be greater than or equal to 1", "got 0"]),
        ("name", "my study", ["match pattern", "got 'my study'"]),
        ("name", "digits\n", ["match pattern", r"got 'digits\n'"]),
        ("name", 3, ["must be text", "got 3"]),
        ("results", "", ["at least 1 character", "got ''"]),
        ("device", "tpu", ["must be 'cpu' or 'cuda'", "got 'tpu'"]),
        (
            "images.source",
            "mnist",
            ["must be 'digits', 'cifar10', 'tiny_imagenet' or 'folder'", "got 'mnist'"],
        ),
        ("images.size", 28, ["must be 8, 32 or 64", "got 28"]),
        ("images.channels", 2, ["must be 1 or 3", "got 2"]),
        ("images.channels", True, ["true and false are not allowed", "got True"]),
        ("images.validation", 1, ["must be less than 1", "got 1"]),
        ("images.test", 0, ["must be greater than 0", "got 0"]),
        ("images.sha256", "abc", ["match pattern", "got 'abc'"]),
        ("images.limit_per_class", 0, ["must be greater than or equal to 1", "got 0"]),
        ("architectures", "ResNet8", ["must be a list", "got 'ResNet8'"]),
        ("architectures", ["ResNet8"], ["at least 2 items", "got ['ResNet8']"]),
    ],
)
def test_an_impossible_value_is_named_with_its_field_and_what_is_allowed(path, value, parts):
    message = refused(nest(path, value), f"\n  {path}: ", *parts)
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("images.mean", [math.nan], "images.mean.0: must be a finite number, got nan"),
        ("images.mean", [True], "images.mean: true and false are not allowed here, got [True]"),
        ("images.std", [0], "images.std.0: must be greater than 0, got 0"),
        ("architectures", ["ResNet8", 8], "architectures.1: must be text, got 8"),
        ("zoo.training.milestones", [3, 1], "zoo.training: milestones must rise, got [3, 1]"),
        ("zoo.training.milestones", [-1], "zoo.training.milestones.0: must be greater than or eq"),
        (
            "zoo.training.milestones",
            [24],
            "zoo.training: milestones holds 24, must be at most 23 with 25 epochs",
        ),
        (
            "zoo.training",
            {"epochs": {"choices": [3, 9]}, "snapshots": [0, 10]},
            "zoo.training: snapshots holds 10, must be at most 9 with 9 epochs",
        ),
        (
            "zoo.training",
            {"epochs": {"uniform": [3, 9]}, "select_from": 3},
            "zoo.training: select_from is 3, must be less than the fewest epochs (3)",
        ),
        (
            "device",
            "cuda",
            "study: zoo.kernels compiled run on the CPU alone; device cuda needs zo",
        ),
        ("zoo", {"kernels": "vmap", "precision": "tf32"}, "study: zoo.precision tf32 needs device"),
        ("zoo.precision", "bf16", "zoo: precision bf16 needs kernels vmap"),
        ("zoo.max_memory", "4 cows", "zoo.max_memory: must be a number of megabytes or text such"),
        (
            "zoo.max_memory",
            0,
            "zoo.max_memory: must be a number of megabytes or text such as 4 GiB",
        ),
        (
            "zoo.training.select_from",
            25,
            "zoo.training: select_from is 25, must be less than epochs (25)",
        ),
        (
            "architectures",
            ["ResNet8", "LeNetLike", "ResNet8"],
            "study: architectures must differ, got ResNet8, LeNetLike, ResNet8",
        ),
        ("zoo.overrides.VGG", {}, "study: zoo.overrides names VGG, which is not in architectures"),
        ("images.mean", [0.1, 0.2, 0.3], "images: mean has 3 values, expected one per channel (1)"),
        ("images.size", 32, "images: source digits has 8x8 grey images: size must be 8"),
    ],
)
def test_values_that_do_not_go_together_are_named(path, value, place):
    refused(nest(path, value), f"\n  {place}")


def test_a_number_or_how_to_draw_it():
    raw = {
        "epochs": {"uniform": [3, 9]},
        "learning_rate": {"log_uniform": ["1e-3", 0.1]},
        "momentum": {"choices": [0, 0.9]},
    }
    training = parse_study({"zoo": {"training": raw}}).zoo.training
    assert training.epochs == Drawn(uniform=(3, 9)) and training.epochs.bounds == (3, 9)
    assert all(isinstance(number, int) for number in training.epochs.bounds)
    plain = training.model_dump(mode="json")
    assert plain["learning_rate"] == {"log_uniform": [0.001, 0.1]}
    assert type(training).model_validate(plain) == training


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("learning_rate", {"uniform": [-1, 2]}, ".uniform.0: must be greater than 0, got -1"),
        (
            "learning_rate",
            {"log_uniform": [0, 1]},
            ": log_uniform must lie above 0, got [0.0, 1.0]",
        ),
        ("weight_decay", {"log_uniform": [0, 1]}, ": log_uniform must lie above 0, got [0.0, 1.0]"),
        ("learning_rate", {"uniform": [2, 1]}, ": uniform must rise from lowest to highest"),
        ("learning_rate", {"uniform": [1]}, ".uniform.1: is required"),
        ("learning_rate", {"choices": []}, ".choices: "),
        ("learning_rate", {"choices": [True]}, ".choices: true and false are not allowed here"),
        (
            "learning_rate",
            {},
            ": expected exactly one of choices, in_turn, uniform and log_uniform, got 0",
        ),
        ("momentum", {"choices": [0.5, 1]}, ".choices.1: must be less than 1, got 1"),
        ("epochs", {"choices": [5, 2.5]}, ".choices.1: must be a whole number, got 2.5"),
        ("init_scale", {"log_unifrom": [1, 2]}, ".log_unifrom: no such key; did you mean log_unif"),
    ],
)
def test_an_impossible_way_to_draw_is_named(key, value, line):
    message = refused({"zoo": {"training": {key: value}}}, f"\n  zoo.training.{key}{line}")
    assert len(message.splitlines()) == 2


def test_memory_is_megabytes_or_text_with_a_unit():
    for text, size in {
        "4 GiB": 2**32,
        "500": 5 * 10**8,
        "1.5GB": 15 * 10**8,
        "2 mib": 2**21,
    }.items():
        assert parse_memory(text) == size
    assert parse_memory(500) == 5 * 10**8 and parse_memory(0.5) == 5 * 10**5


@pytest.mark.parametrize(
    ("images", "part"),
    [
        (
            {"source": "cifar10", "path": "x"},
            "source cifar10 has 32x32 colour images: size must be 32",
        ),
        (
            {"source": "cifar10", "size": 32, "channels": 3, "mean": [0] * 3, "std": [1] * 3},
            "source cifar10 needs a path or a url",
        ),
        (
            {
                "source": "cifar10",
                "size": 32,
                "channels": 3,
                "mean": [0] * 3,
                "std": [1] * 3,
                "url": "https://example.org/c.tar.gz",
            },
            "url needs sha256",
        ),
        (
            {"source": "folder", "url": "https://example.org/c.tar.gz", "sha256": SHA},
            "source folder takes a path, not a url",
        ),
        ({"source": "folder", "path": ""}, "source folder needs a path or a url"),
    ],
)
def test_a_source_that_lacks_something_says_what(images, part):
    message = refused({"images": images}, f"\n  images: {part}")
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"sed": 3}, "sed: no such key; did you mean seed? known keys are name, seed, results"),
        ({"imagse": {}}, "imagse: no such key; did you mean images?"),
        (
            nest("images.sorce", "digits"),
            "images.sorce: no such key; did you mean source? known keys are source, path, url",
        ),
        (nest("zoo.instances.trian", 3), "zoo.instances.trian: no such key; did you mean train?"),
        (
            nest("zoo.overrides.ResNet8.trian", 3),
            "zoo.overrides.ResNet8.trian: no such key; did you mean train?",
        ),
        (
            nest("zoo.training.augmentation.xyzzy", 3),
            "zoo.training.augmentation.xyzzy: no such key; known keys are crop_padding, flip",
        ),
    ],
)
def test_an_unknown_key_is_named_at_any_depth_with_the_known_ones(raw, line):
    refused(raw, f"\n  {line}")


def test_a_typo_of_any_key_is_refused():
    def typos(block, path=()):
        for key, value in block.items():
            yield (*path, key + "s_")
            if isinstance(value, dict):
                yield from typos(value, (*path, key))

    count = 0
    for path in typos(Study().model_dump()):
        refused(nest(".".join(path), 1), f"\n  {'.'.join(path)}: no such key; did you mean")
        count += 1
    assert count > 40


@pytest.mark.parametrize(
    "path",
    [
        f"{path}.{key}" if path else key
        for path, block in [
            ("", Study()),
            ("zoo", Study().zoo),
            ("zoo.training", Study().zoo.training),
        ]
        for key in type(block).model_fields
    ],
)
@pytest.mark.parametrize("value", [{"a": {"b": {}}}, math.nan, -math.inf, False])
def test_no_key_takes_nonsense(path, value):
    refused(nest(path, value), path.partition(".")[0])


def test_every_fault_has_its_line_up_to_twenty():
    message = refused({"seed": -1, "zoo": {"shard_size": 0}, "nme": "x"})
    assert len(message.splitlines()) == 4
    lines = refused({f"key{n}": n for n in range(50)}).splitlines()
    assert len(lines) == 22 and lines[-1] == "  and 30 more"


def test_long_values_are_shortened():
    message = refused(
        {
            "seed": "9" * 10_000 + "x",
            "zoo": [[list(range(1000))] * 1000] * 1000,
            "threads": -(16**10_000),
        }
    )
    assert len(message) < 1000 and "threads: must be" in message


@pytest.mark.parametrize("names", [["ResNet8", "VGG16"], ["ResNet-8", "LeNetLike"]])
def test_an_unknown_architecture_is_named_with_the_known_ones(names):
    wrong = names[1] if names[0] == "ResNet8" else names[0]
    refused(
        {"architectures": names},
        f"  architectures: unknown architecture '{wrong}'",
        "LeNetLike, ",
        "ResNet56",
    )


def test_an_unknown_teacher_or_arm_is_named_with_its_field():
    refused({"teacher": {"architecture": "VGG16"}}, "  teacher.architecture: unknown architecture")
    refused({"embedder": {"arm": "strong"}}, "  embedder.arm: unknown embedder arm 'strong'")


def test_numbers_inside_blocks_from_the_command_line_arrive_as_text():
    images = {
        "source": "cifar10",
        "path": "x",
        "size": "32",
        "channels": "3",
        "mean": ["0"] * 3,
        "std": ["1"] * 3,
    }
    study = parse_study({"images": images, "zoo": {"shard_size": "4"}})
    assert (study.images.size, study.images.channels, study.zoo.shard_size) == (32, 3, 4)
    refused({"images": {"size": "28"}}, "images.size: must be 8, 32 or 64, got")


@pytest.mark.parametrize("raw", ["digits", 3, [1], [["seed", 1]], True, math.nan])
def test_what_is_no_mapping_is_refused(raw):
    refused(raw, "\n  study: must be a block of `key: value` lines")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("seed: [1", "is not plain YAML"),
        ("seed: 1\n\tzoo: 2", "is not plain YAML"),
        ("name: !!python/object/apply:os.system ['touch pwned']", "python/object"),
        ("name: !!python/name:os.system", "python/name"),
        ("name: !thing x", "!thing"),
        ("name: 2001-99-99", "is not plain YAML"),
        ("seed: " + "9" * 5000, "is not plain YAML"),
        ("seed: -0x" + "f" * 9000, "seed: must be greater than or equal to 0"),
        ("[" * 5000, "is not plain YAML"),
        ("- seed\n- 3", "must be a block"),
        ("just words", "must be a block"),
        ("3: 4", "study"),
        ("&a\nzoo: *a", "zoo.zoo: no such key"),
        ("seed: 1\n---\nseed: 2", "is not plain YAML"),
    ],
)
def test_a_file_that_is_no_plain_yaml_mapping_is_refused(tmp_path, monkeypatch, text, part):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_study("my.yaml")
    assert "my.yaml" in str(caught.value) and part in str(caught.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "my.yaml"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_study(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_study(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml is not plain YAML"):
        load_study(tmp_path / "latin.yaml")


def test_an_empty_file_is_the_default_study(tmp_path):
    (tmp_path / "my.yaml").write_text("# nothing\n")
    assert load_study(tmp_path / "my.yaml") == Study()


KEYS = sorted(
    {
        key
        for _, block in [
            ("", Study.model_json_schema()),
            *Study.model_json_schema()["$defs"].items(),
        ]
        for key in block["properties"]
    }
    | {"x", "ResNet8", "VGG"}
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary()
    | st.dates()
    | st.sampled_from(["digits", "folder", "ResNet8", "LeNetLike", "1", "1e-3"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=3) | st.integers() | st.none(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_junk_is_a_config_error_or_a_study(raw):
    try:
        assert isinstance(parse_study(raw), Study)
    except ConfigError as error:
        assert str(error)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_junk_value_in_a_good_file_is_a_config_error_or_a_study(data):
    raw = Study().model_dump()
    block = raw
    while True:
        key = data.draw(st.sampled_from(sorted(block)))
        if not (isinstance(block[key], dict) and block[key]) or data.draw(st.booleans()):
            break
        block = block[key]
    block[key] = data.draw(VALUES)
    try:
        parse_study(raw)
    except ConfigError as error:
        assert str(error)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.text("[]{}:,-&*!|> \nab1", max_size=40))
def test_junk_files_are_a_config_error_or_a_study(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "junk.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_study(path)
    except ConfigError as error:
        assert str(error)
